"""The state folder: one supervisor at a time, sockets whose paths are never too long."""

import os
import socket
import stat
from pathlib import Path

import pytest
from fastforward_operator.supervisor.state import MAX_SOCKET_PATH, StateError, StateFolder


def test_only_one_supervisor_at_a_time_has_the_folder(tmp_path: Path) -> None:
    first, second = StateFolder(tmp_path / "state"), StateFolder(tmp_path / "state")
    first.claim()
    with pytest.raises(StateError, match=rf"process {os.getpid()}\) uses .*state: end it, or name another"):
        second.claim()
    first.release()
    second.claim()
    second.release()


def test_a_socket_can_be_made_below_any_folder_however_long(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / ("deep" * 30) / "state")
    state.claim()
    for path in (state.xds_socket, state.decision_socket, state.admin_socket):
        assert len(os.fsencode(path)) <= MAX_SOCKET_PATH
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    assert stat.S_IMODE(state.sockets.stat().st_mode) == 0o700
    state.release()
    assert list(state.sockets.iterdir()) == []


def test_two_long_folders_do_not_share_their_sockets(tmp_path: Path) -> None:
    long = tmp_path / ("deep" * 30)
    assert StateFolder(long / "a").sockets != StateFolder(long / "b").sockets


def test_a_socket_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.path.mkdir()
    (tmp_path / "elsewhere").mkdir()
    state.sockets.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="belongs to somebody else"):
        state.claim()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"can't be made \(.*\): name another folder with --state"):
        StateFolder(tmp_path / "file" / "state").claim()


def test_each_run_has_fresh_logs_and_keeps_the_previous_ones(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.claim()
    (state.logs / "envoy.log").write_text("first run")
    state.release()
    state.claim()
    state.release()
    assert not (state.logs / "envoy.log").exists()
    assert (state.logs / "envoy.log.old").read_text() == "first run"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    (state.path / "lock").mkdir(parents=True)
    with pytest.raises(StateError, match=r"can't be written \(Is a directory\): name another folder with --state"):
        state.claim()


def test_who_was_refused_leaves_the_owners_sockets_alone(tmp_path: Path) -> None:
    owner, other = StateFolder(tmp_path / "state"), StateFolder(tmp_path / "state")
    owner.claim()
    owner.xds_socket.touch()
    with pytest.raises(StateError):
        other.claim()
    other.release()
    assert owner.xds_socket.exists()
    owner.release()
    assert not owner.xds_socket.exists()
