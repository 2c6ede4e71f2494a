"""Runs the operator as a process of its own: `python -m fastforward_operator`, settings from the environment.

Called by `ff up` and by the container image. Exit code 1, and one line a mistake, when it can't start.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator

from pydantic import ValidationError

from .bootstrap import bootstrap, set_aside, tune_interpreter
from .kubernetes.access import AccessError
from .settings import Settings
from .telemetry import configure_logs


async def run(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    operator = bootstrap(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await operator.start()
    tidying = asyncio.create_task(set_aside(operator))
    tasks = {asyncio.create_task(stop.wait()), asyncio.create_task(operator.wait())}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        tidying.cancel()
        await operator.stop()


def main() -> int:
    """Returns the exit code."""
    try:
        settings = Settings.model_validate({})
    except ValidationError as error:
        for mistake in error.errors(include_url=False, include_input=False):
            # A mistake of several settings together names them itself.
            names = f"FF_{'_'.join(map(str, mistake['loc'])).upper()}: " if mistake["loc"] else ""
            sys.stderr.write(f"{names}{mistake['msg'].removeprefix('Value error, ')}.\n")
        return 1
    configure_logs(level=settings.log_level, style=settings.log_format)
    tune_interpreter()
    failures: list[str] = []
    try:
        asyncio.run(run(settings))
    except* OSError as group:
        failures += _flat(group)
    except* AccessError as group:
        failures += [str(error) for error in group.exceptions]
    for failure in failures:
        sys.stderr.write(f"{failure}\n")
    return 1 if failures else 0


def _flat(group: BaseExceptionGroup[OSError]) -> Iterator[str]:
    for each in group.exceptions:
        if isinstance(each, BaseExceptionGroup):
            yield from _flat(each)
        else:
            yield each.strerror or str(each)


if __name__ == "__main__":
    sys.exit(main())
