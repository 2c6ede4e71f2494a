"""/healthz, /readyz and /metrics, on a port of their own that no route leads to.

In: what the workload says of itself (`Health`). Out: answers for an orchestrator and for Prometheus.
"""

import json
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from fastforward_kit.http import Handler, Request, Response
from fastforward_kit.telemetry import CONTENT_TYPE, exposition


@dataclass(slots=True)
class Health:
    """Live is who answers at all. Ready is who has nothing left to wait for and is not stopping."""

    waiting_for: set[str] = field(default_factory=set)
    stopping: bool = False

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return not self.waiting_for and not self.stopping

    @property
    def why_not(self) -> str:
        """What keeps it from being ready; empty when it is."""
        if self.stopping:
            return "stopping"
        return f"waiting for {', '.join(sorted(self.waiting_for))}" if self.waiting_for else ""


def health_handler(health: Health, registry: CollectorRegistry) -> Handler:
    """Returns the handler of the health port."""

    def answer(request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            return _said(405, {"status": "only GET and HEAD"})
        match request.target.partition("?")[0]:
            case "/healthz":
                return _said(200, {"status": "ok"})
            case "/readyz" if health.ready:
                return _said(200, {"status": "ready"})
            case "/readyz":
                return _said(503, {"status": health.why_not})
            case "/metrics":
                return Response(200, (("content-type", CONTENT_TYPE),), exposition(registry))
            case _:
                return _said(404, {"status": "only /healthz, /readyz and /metrics"})

    return answer


def _said(status: int, what: dict[str, str]) -> Response:
    return Response(status, (("content-type", "application/json"),), json.dumps(what).encode() + b"\n")
