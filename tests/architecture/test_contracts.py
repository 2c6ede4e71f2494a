"""The import contracts of .importlinter hold, and each of them bites: a violation planted in a copy is found.

A contract that names a module wrongly passes for ever. So the sources are copied, one forbidden import is written into
the copy, and import-linter must then call that contract, by its name, broken.
"""

import configparser
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from typing_extensions import override

from support.repository import PACKAGES, ROOT

PURE = ("fastforward_compiler", "fastforward_crds", "fastforward_pipeline")
FRAMEWORKS = "import django\nimport kopf\nimport temporalio\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """A violation: `code` appended to the module `into`, which must break `contract` and have `shown` printed."""

    contract: str
    into: str
    code: str
    shown: tuple[str, ...] = ()

    @override
    def __str__(self) -> str:
        return f"{self.contract}: {self.into}"


def read_contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return parser


CONTRACTS = read_contracts()
PREFIX = "importlinter:contract:"
NAMES = {
    section.removeprefix(PREFIX): CONTRACTS[section]["name"]
    for section in CONTRACTS.sections()
    if section.startswith(PREFIX)
}
IMPURE = tuple(CONTRACTS[f"{PREFIX}purity"]["forbidden_modules"].split())

PLANTS = (
    Plant(contract="control-plane", into="fastforward_compiler.planted", code="import fastforward_operator"),
    Plant(contract="control-plane", into="fastforward_crds.planted", code="import fastforward_compiler"),
    Plant(contract="control-plane", into="fastforward.planted", code="import fastforward_crds"),
    Plant(contract="data-plane", into="fastforward_kit.planted", code="import fastforward_pipeline"),
    Plant(contract="data-plane", into="fastforward_pipeline.planted", code="import fastforward_kit"),
    Plant(contract="data-plane", into="fastforward_kit.planted", code="import fastforward_entrypoint"),
    Plant(contract="data-plane", into="fastforward.planted", code="import fastforward_kit"),
    Plant(contract="data-plane", into="fastforward_shield.planted", code="import fastforward_kit"),
    Plant(contract="data-plane", into="fastforward_kit.planted", code="import fastforward_shield"),
    Plant(contract="data-plane", into="fastforward_rest.planted", code="import fastforward_entrypoint"),
    Plant(contract="data-plane", into="fastforward_grpc.planted", code="import fastforward_rest"),
    Plant(contract="data-plane", into="fastforward_grpc.planted", code="import fastforward_entrypoint"),
    Plant(contract="data-plane", into="fastforward_shield.planted", code="import fastforward_rest"),
    Plant(contract="data-plane", into="fastforward_graphql.planted", code="import fastforward_rest"),
    Plant(contract="data-plane", into="fastforward_rest.planted", code="import fastforward_graphql"),
    Plant(contract="data-plane", into="fastforward_websocket.planted", code="import fastforward_entrypoint"),
    Plant(contract="data-plane", into="fastforward_websocket.planted", code="import fastforward_rest"),
    Plant(contract="control-plane-apart", into="fastforward_operator.planted", code="import fastforward_pipeline"),
    Plant(contract="control-plane-apart", into="fastforward_operator.planted", code="import fastforward_kit"),
    Plant(contract="control-plane-apart", into="fastforward_operator.planted", code="import fastforward_shield"),
    Plant(contract="control-plane-apart", into="fastforward_operator.planted", code="import fastforward_grpc"),
    Plant(contract="control-plane-apart", into="fastforward_operator.planted", code="import fastforward_rest"),
    Plant(contract="control-plane-apart", into="fastforward_operator.planted", code="import fastforward_graphql"),
    Plant(contract="control-plane-apart", into="fastforward_operator.planted", code="import fastforward_websocket"),
    Plant(
        contract="control-plane-apart", into="fastforward_operator.cli.planted", code="import fastforward_entrypoint"
    ),
    Plant(contract="control-plane-apart", into="fastforward_compiler.planted", code="import fastforward_pipeline"),
    Plant(contract="cli-on-top", into="fastforward_operator.planted", code="import fastforward_operator.cli"),
    Plant(contract="data-plane-apart", into="fastforward_entrypoint.planted", code="import fastforward_operator"),
    Plant(contract="data-plane-apart", into="fastforward_kit.planted", code="import fastforward_crds"),
    Plant(contract="data-plane-apart", into="fastforward_shield.planted", code="import fastforward_crds"),
    Plant(contract="data-plane-apart", into="fastforward_grpc.planted", code="import fastforward_compiler"),
    Plant(contract="data-plane-apart", into="fastforward_rest.planted", code="import fastforward_compiler"),
    Plant(contract="data-plane-apart", into="fastforward_graphql.planted", code="import fastforward_compiler"),
    Plant(contract="data-plane-apart", into="fastforward_websocket.planted", code="import fastforward_compiler"),
    Plant(contract="data-plane-apart", into="fastforward_pipeline.planted", code="import fastforward_compiler"),
    *(
        Plant(
            contract="purity",
            into=f"{package}.planted",
            code="".join(f"import {module}\n" for module in IMPURE),
            shown=tuple(f"{package}.planted -> {module}" for module in IMPURE),
        )
        for package in PURE
    ),
    Plant(
        contract="compiler-phases",
        into="fastforward_compiler.translate.planted",
        code="import fastforward_compiler.emit",
    ),
    Plant(
        contract="compiler-phases",
        into="fastforward_compiler.emit.planted",
        code="import fastforward_compiler.translate",
    ),
    Plant(
        contract="compiler-phases", into="fastforward_compiler.emit.planted", code="import fastforward_compiler.compile"
    ),
    Plant(contract="compiler-phases", into="fastforward_compiler.ir.planted", code="import fastforward_compiler.emit"),
    Plant(contract="compiler-phases", into="fastforward_compiler.problem", code="import fastforward_compiler.ir"),
    Plant(contract="emit-sees-no-resource", into="fastforward_compiler.emit.planted", code="import fastforward_crds"),
    Plant(contract="ir-standard-library", into="fastforward_compiler.ir.planted", code="import pydantic"),
    Plant(contract="ir-standard-library", into="fastforward_compiler.problem", code="import fastforward"),
    Plant(contract="redis-in-entrypoint", into="fastforward_kit.planted", code="import redis.asyncio"),
    Plant(contract="redis-in-entrypoint", into="fastforward_operator.planted", code="import redis"),
    Plant(
        contract="frameworks-out",
        into="fastforward_operator.planted",
        code=FRAMEWORKS,
        shown=tuple(f"fastforward_operator.planted -> {name}" for name in ("django", "kopf", "temporalio")),
    ),
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of all packages' Python files, the contracts and the contract type of our own."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package.src, tmp_path / package.src, ignore=shutil.ignore_patterns("__pycache__", "*.yaml", "*.pyi")
        )
    # The contract lets this one module be absent; the copy has it, so that the order of all phases is checked.
    (tmp_path / "operator/compiler/src/fastforward_compiler/compile.py").touch()
    (tmp_path / "tests/architecture").mkdir(parents=True)
    for name in (".importlinter", "tests/architecture/standard_library.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter over the packages below `root`, which come before the installed ones."""
    path = os.pathsep.join(str(root / package.src) for package in PACKAGES)
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "400"},
        capture_output=True,
        text=True,
    )


def plant(root: Path, violation: Plant) -> None:
    package = next(package for package in PACKAGES if package.module == violation.into.split(".")[0])
    module = root / package.src / (violation.into.replace(".", "/") + ".py")
    assert module.parent.is_dir()
    with module.open("a") as file:
        file.write(f"\n{violation.code}\n")


def test_an_unchanged_copy_keeps_every_contract(sources: Path) -> None:
    result = lint_imports(sources)
    assert result.returncode == 0, result.stdout
    for name in NAMES.values():
        assert f"{name} KEPT" in result.stdout


@pytest.mark.parametrize("violation", PLANTS, ids=[f"{index}-{plant}" for index, plant in enumerate(PLANTS)])
def test_a_planted_violation_breaks_its_contract(sources: Path, violation: Plant) -> None:
    plant(sources, violation)
    result = lint_imports(sources)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{NAMES[violation.contract]} BROKEN" in result.stdout
    for line in violation.shown:
        assert line in result.stdout


def test_the_cli_may_import_the_pipeline(sources: Path) -> None:
    plant(
        sources,
        Plant(
            contract="control-plane-apart", into="fastforward_operator.cli.planted", code="import fastforward_pipeline"
        ),
    )
    result = lint_imports(sources)
    assert result.returncode == 0, result.stdout


def test_every_contract_has_a_planted_violation() -> None:
    assert {violation.contract for violation in PLANTS} == set(NAMES)
