"""What an operator in a cluster consists of, by its settings."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import yaml
from fastforward_operator.addresses import AddressPool
from fastforward_operator.kubernetes.dataplane import DataPlane
from fastforward_operator.kubernetes.events import EventWriter
from fastforward_operator.kubernetes.statuswriter import StatusWriter
from fastforward_operator.publication import Publications
from fastforward_operator.settings import Settings
from fastforward_operator.status import StatusBoard
from fastforward_operator.surroundings import Surroundings, surroundings


def made(folder: Path, *, write_status: bool) -> Surroundings:
    """Of an operator that runs pods and is asked by the API server."""
    kubeconfig = folder / "kubeconfig"
    parts = {
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    kubeconfig.write_text(yaml.safe_dump({"current-context": "c", **parts}))
    settings = Settings(
        provider="kubernetes",
        kubeconfig=kubeconfig,
        xds_tls=True,
        xds_address="operator.test:18000",
        envoy_image="envoy:1",
        decision_image="decision:1",
        write_status=write_status,
    )
    return surroundings(settings, StatusBoard(Publications(), 0.0), AddressPool((), by_service=True))


@pytest.mark.parametrize("write_status", [True, False])
async def test_somebody_leads_whether_statuses_are_written_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, write_status: bool
) -> None:
    """Pods, the authority and the bundle of the webhook are the leader's, too."""
    outside = made(tmp_path, write_status=write_status)
    assert outside.election is not None
    assert outside.data_plane is not None
    assert len(outside.sinks) == (2 if write_status else 0)
    assert not outside.data_plane.leads()
    outside.election._leads_until = float("inf")
    assert outside.data_plane.leads()
    assert not outside.data_plane.follows()
    before = asyncio.all_tasks()
    outside.election.on_elected()
    await asyncio.sleep(0)
    assert outside.data_plane._news.is_set()
    resumed: list[object] = []
    for each in (StatusWriter, EventWriter, DataPlane):
        monkeypatch.setattr(each, "go_on", lambda self: resumed.append(type(self)))
    outside.election.on_resumed()
    assert resumed == [StatusWriter, EventWriter, DataPlane]
    for task in asyncio.all_tasks() - before:
        task.cancel()
