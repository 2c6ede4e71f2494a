"""FastForward, with one Envoy beside it."""

from __future__ import annotations

from importlib.metadata import version

from fastforward_operator.kubernetes import rbac

from perf.standalone import OPERATOR
from support.repository import ROOT

from .peer import Peer, Setting, gateway_api


def _start(setting: Setting) -> None:
    setting.kubectl("create", "namespace", rbac.NAMESPACE)
    setting.processes.start_operator(FF_PROVIDER="kubernetes", FF_KUBECONFIG=str(setting.cluster.kubeconfig))
    setting.processes.start_envoy()


FASTFORWARD = Peer(
    name="fastforward",
    controller="gateway.fastforward.dev/controller",
    control=OPERATOR,
    version=lambda: version("fastforward-operator"),
    definitions=lambda: [*gateway_api("gateway-api", "standard"), ROOT / "crds/generated"],
    start=_start,
)
