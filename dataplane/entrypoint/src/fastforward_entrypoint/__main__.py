"""`python -m fastforward_entrypoint`: the decision service, told by `FF_ENTRYPOINT_*` variables.

Exit status 0 after SIGTERM, 2 when the settings are wrong, 1 when something else prevents the start.
"""

import asyncio
import sys

from fastforward_kit.lifecycle import raise_file_limit, tune_interpreter
from fastforward_kit.logs import configure_logs
from fastforward_kit.settings import explain_invalid
from pydantic import ValidationError

from fastforward_entrypoint.bootstrap import serve
from fastforward_entrypoint.settings import PREFIX, Settings
from fastforward_entrypoint.workers import run_workers


def main() -> int:
    """Returns the exit status."""
    try:
        settings = Settings.model_validate({})
    except ValidationError as error:
        print(explain_invalid(error, PREFIX), file=sys.stderr)
        return 2
    configure_logs(level=settings.log_level, style=settings.log_format)
    tune_interpreter()
    raise_file_limit()
    parent = settings.workers > 1 and not settings.worker
    status = 0
    try:
        asyncio.run(run_workers(settings) if parent else serve(settings.for_worker()))
    except* OSError as group:
        print(f"EntryPoint can't run: {group.exceptions[0]}.", file=sys.stderr)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
