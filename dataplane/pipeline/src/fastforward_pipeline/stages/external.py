"""External authorization, which belongs to stage 5: services of others are asked whether the request may pass.

In: `final`, `identity`, `tenant`. Leaves: `told`, what they say to the upstream. Every policy's service is asked, one
after the other, until one refuses. What a service is told of the caller is what was proven; what it says in a policy in
the shadow is reported, and hinders nobody.
"""

from __future__ import annotations

import json

from fastforward_pipeline.compiled.authpolicy import Authorization
from fastforward_pipeline.compiled.external import External
from fastforward_pipeline.decision import Pairs, Refusal
from fastforward_pipeline.effects import AskService, ServiceAnswer, Unavailable
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.request import Headers
from fastforward_pipeline.trail import Verdict

from . import oidc

_FIELD = "spec.authorization.external"
_REASONS = {401: Reason.EXTERNAL_UNAUTHENTICATED, 429: Reason.EXTERNAL_EXCEEDED}
_ABSENT = frozenset({502, 503, 504})
"""What is said in place of a service that is not there. Not 500: whoever can break a service would open it."""
_FOR_CLIENTS = ("www-authenticate", "retry-after")
_SAID = 1024


def judge(exchange: Exchange) -> Refusal | AskService | None:
    """Returns what must be asked first, or the first no of a policy in force."""
    auth = exchange.snapshot.auths.get(exchange.final.auth)
    asking = () if auth is None else auth.asking
    if not asking:
        return None
    answers: list[tuple[Authorization, External, AskService, ServiceAnswer | Unavailable]] = []
    for authorization, external in asking:
        question = _question(exchange, authorization, external)
        answer = exchange.told_by.get(question)
        if answer is None:
            return question
        answers.append((authorization, external, question, answer))
        if not authorization.shadow and _refusal(authorization, external, answer) is not None:
            break
    exchange.told = {name: "" for _, external in asking for name in external.answer_headers}
    for each in answers:
        refusal = _settle(exchange, *each)
        if refusal is not None:
            return refusal
    return None


def _settle(
    exchange: Exchange,
    authorization: Authorization,
    external: External,
    question: AskService,
    answer: ServiceAnswer | Unavailable,
) -> Refusal | None:
    refusal = _refusal(authorization, external, answer)
    if refusal is None:
        if isinstance(answer, ServiceAnswer) and _allows(external, answer):
            exchange.told.update(_told(external, answer))
        _tell(exchange, authorization, _passed(external, question, answer))
    elif authorization.shadow:
        exchange.shade(refusal)
    else:
        return refusal
    return None


def _refusal(authorization: Authorization, external: External, answer: ServiceAnswer | Unavailable) -> Refusal | None:
    """Returns a service's no; None for its yes, and where it may be missing and is."""
    policy = f"AuthPolicy {authorization.policy}"
    if isinstance(answer, Unavailable) or answer.status in _ABSENT:
        if external.fail_open:
            return None
        reason = Reason.EXTERNAL_UNAVAILABLE
        return Refusal(reason=reason, detail=_absence(external, answer), object=policy, field=_FIELD)
    if _allows(external, answer):
        return None
    reason = _REASONS.get(answer.status, Reason.EXTERNAL_REFUSED)
    headers = tuple((name, value) for name, value in answer.headers if name in _FOR_CLIENTS)
    detail = _said(external, answer)
    said = answer.body[:_SAID].decode("utf-8", "replace") if answer.status in {*_REASONS, 403} else ""
    return Refusal(reason=reason, detail=detail, object=policy, field=_FIELD, headers=headers, said=said)


def _allows(external: External, answer: ServiceAnswer) -> bool:
    """Whether it is a yes. Open Policy Agent says 200 to a no as well: its result counts, and none is a no."""
    if not external.opa or answer.assumed:
        return 200 <= answer.status < 300
    try:
        said = json.loads(answer.body) if answer.status == 200 else None
    except (ValueError, RecursionError):
        return False
    result = said.get("result") if isinstance(said, dict) else None
    return result is True or (isinstance(result, dict) and result.get("allow") is True)


def _absence(external: External, answer: ServiceAnswer | Unavailable) -> str:
    if isinstance(answer, ServiceAnswer):
        return _said(external, answer)
    return f"Upstream {external.upstream} did not answer within {external.timeout_s * 1e3:g} ms"


def _said(external: External, answer: ServiceAnswer) -> str:
    return f"Upstream {external.upstream} {'is taken to answer' if answer.assumed else 'answers'} {answer.status}"


def _passed(external: External, question: AskService, answer: ServiceAnswer | Unavailable) -> str:
    if isinstance(answer, Unavailable) or answer.status in _ABSENT:
        return f"{_absence(external, answer)}, and the policy fails open"
    if answer.assumed:
        return f"Upstream {external.upstream} would be asked for {question.path}; here it is taken to allow it"
    return f"Upstream {external.upstream} allows it"


def _told(external: External, answer: ServiceAnswer) -> Pairs:
    """Returns what a service tells the upstream: repeated headers as one, and nothing that can't be written again."""
    found: dict[str, list[str]] = {}
    for name, value in answer.headers:
        if name in external.answer_headers and value.isascii() and value.isprintable():
            found.setdefault(name, []).append(value)
    return tuple((name, ",".join(values)) for name, values in found.items())


def _question(exchange: Exchange, authorization: Authorization, external: External) -> AskService:
    request = exchange.request
    if external.opa:
        return _question_of_agent(exchange, authorization, external)
    path = external.path.rstrip("/") + request.path if external.append_path else external.path
    headers = _headers(exchange)
    sent = [(name, value) for name in external.request_headers for value in headers.get(name, ())]
    return AskService(
        policy=authorization.policy,
        upstream=external.upstream,
        method=request.method,
        path=path,
        headers=(*sent, *_known(exchange)),
        timeout_s=external.timeout_s,
    )


def _question_of_agent(exchange: Exchange, authorization: Authorization, external: External) -> AskService:
    """Returns a question of Open Policy Agent (https://www.openpolicyagent.org/docs/latest/rest-api/, Data API)."""
    request, identity = exchange.request, exchange.identity
    path, _, query = request.path.partition("?")
    headers = _headers(exchange)
    sent = {name: ",".join(headers[name]) for name in external.request_headers if name in headers}
    said = {
        "request": {
            "method": request.method,
            "scheme": request.scheme,
            "host": request.host,
            "path": path,
            "query": query,
            "address": request.address,
            "headers": sent,
        },
        "identity": {
            "subject": identity.subject,
            "tenant": exchange.tenant,
            "roles": sorted(identity.roles),
            "permissions": sorted(identity.permissions),
        },
    }
    about = (("content-type", "application/json"), ("x-request-id", request.request_id))
    return AskService(
        policy=authorization.policy,
        upstream=external.upstream,
        method="POST",
        path=external.path,
        headers=tuple((name, value) for name, value in about if value),
        timeout_s=external.timeout_s,
        body=json.dumps({"input": said}, separators=(",", ":")).encode(),
    )


def _headers(exchange: Exchange) -> Headers:
    """Returns the request's headers without cookies of logins: whoever has a session is its holder to the gateway."""
    headers = exchange.request.headers
    others = oidc.others_cookies(exchange) if "cookie" in headers else None
    if others is None:
        return headers
    kept = {name: values for name, values in headers.items() if name != "cookie"}
    return {**kept, "cookie": (others,)} if others else kept


def _known(exchange: Exchange) -> Pairs:
    """Returns what the gateway says of request and caller, by names that no client's header has on this way."""
    request, identity = exchange.request, exchange.identity
    said = (
        ("host", request.host),
        ("x-forwarded-for", request.address),
        ("x-forwarded-host", request.host),
        ("x-forwarded-method", request.method),
        ("x-forwarded-proto", request.scheme),
        ("x-forwarded-uri", request.path),
        ("x-request-id", request.request_id),
        ("x-ff-tenant", _as_bytes(exchange.tenant)),
        ("x-ff-subject", _as_bytes(identity.subject)),
        ("x-ff-roles", _listed(identity.roles)),
        ("x-ff-permissions", _listed(identity.permissions)),
    )
    return tuple((name, value) for name, value in said if value)


def _listed(names: frozenset[str]) -> str:
    """Returns the names with commas between; one that has a comma would be read as two, and is left out."""
    return _as_bytes(",".join(sorted(name for name in names if "," not in name)))


def _as_bytes(text: str) -> str:
    """Returns what was never bytes as the bytes of UTF-8, each a character."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("latin-1")


def _tell(exchange: Exchange, authorization: Authorization, detail: str) -> None:
    if exchange.trail is not None:
        policy = f"AuthPolicy {authorization.policy}"
        exchange.trail.note("authorization", Verdict.PASSED, detail, object=policy, field=_FIELD)
