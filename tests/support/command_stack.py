"""A stack whose decision services hand commands to a RabbitMQ.

In: a started Stack, a RabbitServer, the key that commands are signed with. Out: the same stack, until the block ends.
Called by tests of commands through Envoy.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from pathlib import Path

from joserfc.jwk import OKPKey

from .gateway import Stack
from .rabbitmq import RabbitServer


@contextlib.contextmanager
def commanding(stack: Stack, server: RabbitServer, key: OKPKey, folder: Path) -> Generator[Stack]:
    """Starts its decision service again, before and after."""
    seal = folder / "key.json"
    seal.write_text(json.dumps(key.as_dict(private=True)))
    stack.decision_settings = {
        "FF_ENTRYPOINT_RABBITMQ_URL": server.url,
        "FF_ENTRYPOINT_RABBITMQ_USERNAME": "ff",
        "FF_ENTRYPOINT_RABBITMQ_PASSWORD_FILE": str(server.password_file),
        "FF_ENTRYPOINT_RABBITMQ_DEADLINE_SECONDS": "5",
        "FF_ENTRYPOINT_SEAL_KEY_FILE": str(seal),
    }
    _restart(stack)
    yield stack
    stack.decision_settings = {}
    _restart(stack)


def _restart(stack: Stack) -> None:
    if "decision0" in stack.children:
        stack.stop_decision_service()
    stack.start_decision_service()
