"""Children start, are restarted, end with all that they started, and never outlive their supervisor."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from fastforward_operator.supervisor.child import Child, ChildError, ChildSpec
from fastforward_operator.supervisor.orphans import Guard

from support.eventually import eventually
from support.processes import is_running

SLEEPER = ("sh", "-c", "sleep 1000 & echo $!; wait")


@pytest.fixture
async def guard() -> AsyncGenerator[Guard]:
    guard = Guard()
    guard.start()
    yield guard
    guard.stop()


def child(folder: Path, guard: Guard, *command: str, grace_s: float = 5.0) -> Child:
    spec = ChildSpec(name="worker", command=command, environment=dict(os.environ), grace_s=grace_s)
    return Child(spec, folder, guard)


async def grandchild(worker: Child) -> int:
    await eventually(lambda: worker.tail().strip())
    return int(worker.tail().split()[-1])


async def test_a_child_ends_with_everything_that_it_started(tmp_path: Path, guard: Guard) -> None:
    worker = child(tmp_path, guard, *SLEEPER)
    await worker.start()
    pid, below = worker.pid, await grandchild(worker)
    await worker.stop()
    assert pid is not None
    assert worker.state == "stopped"
    await eventually(lambda: not is_running(pid) and not is_running(below))


async def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path, guard: Guard) -> None:
    worker = child(tmp_path, guard, "sh", "-c", "trap '' TERM; echo ready; sleep 1000", grace_s=0.1)
    await worker.start()
    pid = worker.pid
    await eventually(lambda: "ready" in worker.tail())
    await worker.stop()
    assert pid is not None
    assert not is_running(pid)


async def test_a_child_that_dies_is_started_again_and_says_so(tmp_path: Path, guard: Guard) -> None:
    worker = child(tmp_path, guard, *SLEEPER)
    await worker.start()
    watching = asyncio.create_task(worker.watch())
    first, below = worker.pid, await grandchild(worker)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: worker.restarts == 1 and worker.pid not in (None, first))
    await eventually(lambda: worker.state == "running again after signal 9 (Killed), restart 1")
    await eventually(lambda: not is_running(below), claim="what the dead one started is gone too")
    await worker.stop()
    await watching


async def test_stopping_while_it_waits_to_restart_leaves_nothing_running(tmp_path: Path, guard: Guard) -> None:
    worker = child(tmp_path, guard, "false")
    await worker.start()
    watching = asyncio.create_task(worker.watch())
    await eventually(lambda: "exit code 1, restarting" in worker.state)
    await worker.stop()
    await watching
    assert worker.pid is None


async def test_a_child_that_ended_early_is_told_with_the_end_of_its_log(tmp_path: Path, guard: Guard) -> None:
    worker = child(tmp_path, guard, "sh", "-c", "echo the port is taken >&2; exit 3")
    await worker.start()

    def has_ended() -> bool:
        return worker.pid is None

    await eventually(has_ended)
    with pytest.raises(ChildError, match=r"(?s)worker ended with exit code 3.*worker\.log.*the port is taken"):
        worker.check_alive()
    await worker.stop()


async def test_a_program_that_is_not_there_is_one_sentence(tmp_path: Path, guard: Guard) -> None:
    worker = child(tmp_path, guard, "no-such-program")
    with pytest.raises(ChildError, match="no-such-program can't be run: No such file"):
        await worker.start()
    await worker.stop()


async def test_no_orphan_is_left_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import asyncio, os, pathlib
        from fastforward_operator.supervisor.child import Child, ChildSpec
        from fastforward_operator.supervisor.orphans import Guard

        async def main():
            guard = Guard()
            guard.start()
            spec = ChildSpec(name="worker", command={SLEEPER!r}, environment=dict(os.environ))
            child = Child(spec, pathlib.Path({str(tmp_path)!r}), guard)
            await child.start()
            print(child.pid, flush=True)
            await asyncio.sleep(1000)

        asyncio.run(main())
    """)
    supervisor = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert supervisor.stdout is not None
    leader = int(await supervisor.stdout.readline())
    log = tmp_path / "worker.log"
    await eventually(lambda: log.exists() and log.read_text().strip())
    below = int(log.read_text())
    assert is_running(leader)
    assert is_running(below)
    supervisor.kill()
    await supervisor.wait()
    await eventually(lambda: not is_running(leader) and not is_running(below))


async def test_a_child_that_ended_early_without_a_word_is_told_so(tmp_path: Path, guard: Guard) -> None:
    worker = child(tmp_path, guard, "false")
    await worker.start()
    await eventually(lambda: worker.pid is None)
    with pytest.raises(ChildError, match=r"worker ended with exit code 1\. It said nothing: run it by hand"):
        worker.check_alive()
    await worker.stop()
