"""`python -m fastforward_kit.companion.show TARGET`: prints what Envoy's console says, for who may run programs here.

In: a target of the console, of those that only show. Out: the answer on standard output; exit status 1 and a sentence
when there is none, 2 for a target that may change something. Run by `ff` through `kubectl exec`. No port offers this:
whatever listens in the pod, also on loopback, can be made an endpoint of an Upstream, and so be read through a Route.
"""

import http.client
import shutil
import socket
import sys

from pydantic import ValidationError

from fastforward_kit.companion.settings import PREFIX, Settings
from fastforward_kit.settings import explain_invalid

SECONDS = 25.0
SHOWN = ("/config_dump", "/stats", "/server_info", "/clusters", "/certs", "/memory")
"""These change nothing (Envoy's documentation, "Administration interface")."""


def show(admin: str, target: str) -> None:
    """Copy the answer to standard output, piece by piece: it may be larger than this container's memory."""
    connection = http.client.HTTPConnection("envoy", timeout=SECONDS)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(SECONDS)
        connection.sock.connect(admin)
        connection.request("GET", target)
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise OSError(f"it answers {response.status}")
        shutil.copyfileobj(response, sys.stdout.buffer)
    finally:
        connection.close()


def main() -> int:
    """Returns the exit status."""
    target = sys.argv[1] if len(sys.argv) == 2 else ""
    if target.partition("?")[0] not in SHOWN:
        print(f"Name one of {', '.join(SHOWN)}, with its query.", file=sys.stderr)
        return 2
    try:
        show(str(Settings.model_validate({}).admin), target)
    except ValidationError as error:
        print(explain_invalid(error, PREFIX), file=sys.stderr)
        return 2
    except (OSError, http.client.HTTPException) as error:
        print(f"Envoy does not answer: {error or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
