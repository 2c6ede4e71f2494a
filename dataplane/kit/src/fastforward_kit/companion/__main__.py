"""`python -m fastforward_kit.companion`, told by `FF_COMPANION_*` variables.

Exit status 0 after SIGTERM, 2 when the settings are wrong, 1 when the port is taken.
"""

import asyncio
import sys

from pydantic import ValidationError

from fastforward_kit.companion.console import Console
from fastforward_kit.companion.drain import Drain
from fastforward_kit.companion.endpoint import CompanionEndpoint
from fastforward_kit.companion.settings import PREFIX, Settings
from fastforward_kit.http import HttpServer, parse_address
from fastforward_kit.lifecycle import stop_signals
from fastforward_kit.logs import configure_logs
from fastforward_kit.settings import explain_invalid


async def run(settings: Settings) -> None:
    """Until SIGTERM, and then until Envoy has drained. Raises OSError when the port is taken."""
    stop = stop_signals()
    console = Console(settings.admin)
    drain = Drain(console, settings.drain_seconds)
    server = HttpServer(CompanionEndpoint(console, drain))
    await server.listen(parse_address(settings.listen))
    await stop.wait()
    await drain.run()
    await server.drain(linger_seconds=0.0, limit_seconds=1.0)


def main() -> int:
    """Returns the exit status."""
    try:
        settings = Settings.model_validate({})
    except ValidationError as error:
        print(explain_invalid(error, PREFIX), file=sys.stderr)
        return 2
    configure_logs(level="info", style="json")
    try:
        asyncio.run(run(settings))
    except OSError as error:
        print(f"The companion can't run: {error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
