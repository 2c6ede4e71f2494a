"""What the programs of `ff up` are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fastforward_operator.supervisor.checks import Prepared
from fastforward_operator.supervisor.programs import child_specs
from fastforward_operator.supervisor.project import Project
from fastforward_operator.supervisor.settings import UpSettings
from fastforward_operator.supervisor.state import StateFolder


@pytest.mark.parametrize(("zone", "told"), [("near", {"zone": "near"}), (None, None)])
def test_envoy_is_told_its_zone_where_there_is_one(tmp_path: Path, zone: str | None, told: object) -> None:
    settings = UpSettings(directories=(tmp_path,), state=tmp_path, bind=("127.0.0.1",), api_port=1, zone=zone)
    prepared = Prepared(settings=settings, project=Project(files=()), resources=(), envoy=Path("envoy"))
    state = StateFolder(tmp_path)
    state.envoy.mkdir(parents=True, exist_ok=True)
    (envoy,) = [each for each in child_specs(prepared, state) if each.name == "envoy"]
    assert envoy.prepare is not None
    envoy.prepare()
    made = json.loads((state.envoy / "bootstrap.json").read_text())
    assert made["node"].get("locality") == told
