"""Argo CD's health of our objects, by the Lua that Argo CD would run, over statuses as the operator writes them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import fastforward_crds as crds
import lupa.lua51
import pytest
import yaml
from fastforward_compiler.problem import Reason

from support.repository import ROOT

CHECK = (ROOT / "argocd/health.lua").read_text()
SETTINGS = yaml.safe_load((ROOT / "argocd/argocd-cm.yaml").read_text())
FINE = {
    "Accepted": ("True", "Accepted"),
    "ResolvedRefs": ("True", "ResolvedRefs"),
    "Programmed": ("True", "Programmed"),
}
UNAIMED = {"Accepted": ("False", "TargetNotFound"), "Programmed": ("False", "TargetNotFound")}
WAVE = "argocd.argoproj.io/sync-wave"


def health(check: str, document: dict[str, Any]) -> tuple[str, str]:
    """Status and message. Argo CD gives the check no library that reaches outside of it."""
    lua = lupa.lua51.LuaRuntime(unpack_returned_tuples=True, register_eval=False)
    lua.execute("os, io, require, dofile, loadfile, debug, package = nil, nil, nil, nil, nil, nil, nil")
    lua.globals().obj = lua.table_from(document, recursive=True)
    found = lua.execute(check)
    return found.status, found.message


Said = Mapping[str, tuple[str, str]]


def an_object(conditions: Said = MappingProxyType({}), *, generation: int = 3, observed: int = 3) -> dict[str, Any]:
    """Fine, but for what is said of its conditions."""
    said = [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": f"{kind} {reason}.",
            "observedGeneration": observed,
        }
        for kind, (status, reason) in {**FINE, **conditions}.items()
    ]
    return {
        "kind": "Route",
        "metadata": {"name": "shop", "generation": generation},
        "status": {"observedGeneration": observed, "conditions": said},
    }


def test_what_all_proxies_have_is_healthy() -> None:
    assert health(CHECK, an_object()) == ("Healthy", "Programmed Programmed.")


@pytest.mark.parametrize(
    ("conditions", "status", "message"),
    [
        ({"Programmed": ("Unknown", "Pending")}, "Progressing", "Pending"),
        ({"Programmed": ("False", "NoProxies")}, "Progressing", "NoProxies"),
        ({"Programmed": ("False", "NoDecisionService")}, "Progressing", "NoDecisionService"),
        ({"Programmed": ("False", "Rejected")}, "Degraded", "Rejected"),
        ({"PodsApplied": ("False", "ApplyFailed")}, "Degraded", "ApplyFailed"),
        ({"PodsApplied": ("False", "ApplyFailed"), "Programmed": ("Unknown", "Pending")}, "Degraded", "ApplyFailed"),
        ({"PodsReady": ("False", "PodsNotReady")}, "Degraded", "PodsNotReady"),
        ({"PodsReady": ("False", "PodsNotReady"), "Programmed": ("False", "NoProxies")}, "Degraded", "PodsNotReady"),
        ({"ResolvedRefs": ("False", "UpstreamNotFound")}, "Degraded", "UpstreamNotFound"),
        ({"ResolvedRefs": ("False", "NotPermitted"), "Programmed": ("Unknown", "Pending")}, "Degraded", "NotPermitted"),
        ({"Accepted": ("False", "Invalid"), "Programmed": ("False", "Invalid")}, "Degraded", "Invalid"),
        ({"ResolvedRefs": ("False", "ServiceNotFound")}, "Degraded", "ServiceNotFound"),
        ({"ResolvedRefs": ("False", "NoEndpoints")}, "Progressing", "NoEndpoints"),
        (
            {"ResolvedRefs": ("False", "NoEndpoints"), "Programmed": ("Unknown", "Pending")},
            "Progressing",
            "NoEndpoints",
        ),
        (UNAIMED, "Healthy", "waits for"),
    ],
)
def test_a_condition_decides(conditions: Said, status: str, message: str) -> None:
    found = health(CHECK, an_object(conditions))
    assert found[0] == status
    assert message in found[1]


@pytest.mark.parametrize("condition", FINE)
@pytest.mark.parametrize("reason", [str(reason) for reason in Reason if reason != "TargetNotFound"])
def test_nothing_that_is_wrong_looks_healthy(condition: str, reason: str) -> None:
    early = (condition, reason) == ("ResolvedRefs", "NoEndpoints")
    found = health(CHECK, an_object({condition: ("False", reason)}))[0]
    assert found == ("Progressing" if early else "Degraded")


@pytest.mark.parametrize("early", [UNAIMED, {"ResolvedRefs": ("False", "NoEndpoints")}], ids=["target", "endpoints"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"Accepted": ("False", "Invalid")},
        {"ResolvedRefs": ("False", "SecretNotFound")},
        {"Programmed": ("False", "Rejected")},
        {"PodsApplied": ("False", "ApplyFailed")},
        {"PodsReady": ("False", "PodsNotReady")},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_only_early_hides_nothing_that_is_wrong(early: Said, wrong: Said) -> None:
    ((_, reason),) = wrong.values()
    status, message = health(CHECK, an_object({**early, **wrong}))
    assert status == "Degraded"
    assert reason in message


def stale_condition() -> dict[str, Any]:
    found = an_object()
    found["status"]["conditions"][2]["observedGeneration"] = 2
    return found


@pytest.mark.parametrize(
    "document",
    [
        {"metadata": {"generation": 1}},
        {"metadata": {"generation": 1}, "status": {}},
        {"metadata": {"generation": 1}, "status": {"observedGeneration": 1}},
        {"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": []}},
        an_object(generation=4, observed=3),
        an_object({"Accepted": ("False", "Invalid")}, generation=4, observed=3),
        stale_condition(),
    ],
    ids=["new", "empty", "without-conditions", "no-conditions", "changed", "bad-before", "one-condition-behind"],
)
def test_what_is_said_of_another_version_counts_for_nothing(document: dict[str, Any]) -> None:
    status, message = health(CHECK, document)
    assert status == "Progressing"
    assert "not judged this version" in message


def test_argo_cd_is_told_for_every_kind() -> None:
    wanted = {f"resource.customizations.health.gateway.fastforward.dev_{kind.name}" for kind in crds.KINDS}
    assert SETTINGS["data"].keys() == wanted
    for check in SETTINGS["data"].values():
        assert health(check, an_object()) == health(CHECK, an_object())


def waves() -> dict[str, set[int]]:
    """The waves of the bookshop's objects, by kind."""
    found: dict[str, set[int]] = {}
    bookshop = ROOT / "examples/bookshop"
    for path in (bookshop / "programs.kubernetes.yaml", *sorted((bookshop / "resources").glob("*.yaml"))):
        for document in yaml.safe_load_all(path.read_text()):
            wave = int(document["metadata"].get("annotations", {}).get(WAVE, "0"))
            found.setdefault(document["kind"], set()).add(wave)
    return found


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("Deployment", "Upstream"),
        ("Service", "Upstream"),
        ("Edge", "Route"),
        ("Upstream", "Shard"),
        ("Shard", "Tenant"),
        ("Tenant", "AuthPolicy"),
        ("Tenant", "RateLimit"),
        ("AuthPolicy", "Route"),
        ("RateLimit", "Route"),
    ],
)
def test_what_is_referred_to_or_protects_comes_first(first: str, then: str) -> None:
    found = waves()
    assert max(found[first]) < min(found[then])
