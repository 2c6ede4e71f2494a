"""The charts as tests and `make generate` see them: rendered by helm, and the table of values in their READMEs.

In: charts/, tests/charts/golden/. Out: READMEs, made from the comments in values.yaml; goldens, by `make golden`. A
comment that begins with `# --` tells of the value below it, and of all that is in it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from support.repository import ROOT
from support.tools import program, version_of

CHARTS = ROOT / "charts"
GOLDEN = ROOT / "tests/charts/golden"
# A helm that was built from its module takes the cluster for an ancient one unless it is told.
KUBERNETES = version_of("hyperkube")
LINE = re.compile(r"^(?P<indent> *)(?:# -- (?P<comment>.+)|(?P<key>[\w-]+):.*)$")
GENERATED = re.compile(r"(?<=\nrules:)\n# Made from what the operator watches.*?(?=\n---)", re.DOTALL)
HEAD = "<!-- Made from Chart.yaml and values.yaml by `make generate`: change those, not this file. -->"


class Value(NamedTuple):
    """One row of the table."""

    path: str
    default: Any
    meaning: str


def values(chart: Path) -> Iterator[Value]:
    """Yields the values that are told of, in their order."""
    text = (chart / "values.yaml").read_text()
    above: list[tuple[int, str]] = []
    comment = ""
    for line in text.splitlines():
        found = LINE.match(line)
        if found is None:
            continue
        if found["comment"]:
            comment = found["comment"]
            continue
        indent = len(found["indent"])
        above = [*((at, key) for at, key in above if at < indent), (indent, found["key"])]
        if comment:
            path = tuple(key for _, key in above)
            yield Value(".".join(path), at_path(yaml.safe_load(text), path), comment)
            comment = ""


def at_path(tree: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - YAML may be anything
    """What is there."""
    for key in path:
        tree = tree[key]
    return tree


def leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Yields the path of every value that holds no others."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def readme(chart: Path) -> str:
    """What it is, how it is installed, and what can be said to it."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    rows = "\n".join(f"| `{each.path}` | `{json.dumps(each.default)}` | {each.meaning} |" for each in values(chart))
    return f"""{HEAD}

# {about["name"]}

{about["description"]}

```console
$ helm install {about["name"]} charts/{about["name"]} --namespace fastforward-system --create-namespace
```

Version {about["version"]}, for Kubernetes {about["kubeVersion"].removesuffix("-0")}.

## Values

| Value | Default | What it is |
|---|---|---|
{rows}
"""


def helm(*arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What became of it, good or bad. It keeps nothing in the user's home."""
    environment = {**os.environ, "HELM_CACHE_HOME": "/nonexistent", "HELM_CONFIG_HOME": "/nonexistent"}
    where = (f"--kubeconfig={kubeconfig}",) if kubeconfig is not None else ()
    return subprocess.run(
        [program("helm"), *arguments, *where], capture_output=True, text=True, check=False, env=environment, timeout=300
    )


def template(chart: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What would be installed."""
    where = ("--namespace", "fastforward-system", "--kube-version", KUBERNETES)
    return helm("template", "fastforward", str(chart), *where, *arguments)


def rendered(case: Path) -> str:
    """What a golden case pins: the chart by its values, without the rules of roles, which every new kind changes.

    Raises AssertionError with what helm complains of.
    """
    done = template(CHARTS / "fastforward", "--values", str(case / "values.yaml"))
    assert done.returncode == 0, done.stderr
    return GENERATED.sub(" []  # as generated\n", done.stdout)


def cases() -> list[Path]:
    """Every case, a folder each."""
    return sorted(path.parent for path in GOLDEN.glob("*/values.yaml"))


def write_readmes() -> None:
    """Writes the README of each chart."""
    for chart in sorted(CHARTS.iterdir()):
        (chart / "README.md").write_text(readme(chart))


def write_goldens() -> None:
    """Rewrites what each case pins."""
    for case in cases():
        (case / "rendered.yaml").write_text(rendered(case))


if __name__ == "__main__":
    write_goldens() if sys.argv[1:] == ["golden"] else write_readmes()
