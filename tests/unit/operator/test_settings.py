"""What the environment may say."""

from pathlib import Path

import pytest
from fastforward_operator.settings import Settings
from pydantic import ValidationError


def test_lists_and_mappings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FF_DIRECTORIES", "/a:/b/c:")
    monkeypatch.setenv("FF_PORTS", '{"80": 8080}')
    monkeypatch.setenv("FF_STATE_DIR", "/s")
    monkeypatch.setenv("FF_API_HOSTS", "ff.example, operator.gateway.svc,")
    settings = Settings.model_validate({})
    assert settings.directories == (Path("/a"), Path("/b/c"))
    assert settings.ports == {80: 8080}
    assert settings.api_hosts == ("ff.example", "operator.gateway.svc")
    assert settings.xds_target == "unix:/s/xds.sock"


def test_an_address_wins_over_the_socket_in_the_state_folder() -> None:
    settings = Settings(directories=(Path("/a"),), xds_address="127.0.0.1:18000")
    assert settings.xds_target == "127.0.0.1:18000"


@pytest.mark.parametrize("ports", ["80", '{"80": "x"}', "{"])
def test_ports_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, ports: str) -> None:
    monkeypatch.setenv("FF_DIRECTORIES", "/a")
    monkeypatch.setenv("FF_PORTS", ports)
    with pytest.raises(ValidationError):
        Settings.model_validate({})


def test_without_directories_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FF_DIRECTORIES", raising=False)
    with pytest.raises(ValidationError):
        Settings.model_validate({})
