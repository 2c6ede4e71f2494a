"""Stage 2, admission: client addresses, body sizes, media types. The Edge's settings and the Route's both hold,
but for those in the shadow, which are reported.

In: `entry`. For media types a body may be there when its length is above 0, when it comes in chunks, or when nothing
says how long it is and a media type is named or the method has bodies (HTTP/2 needs no more than that).
"""

from __future__ import annotations

from fastforward_pipeline.compiled.address import is_address
from fastforward_pipeline.compiled.route import Admission, Plan
from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.request import Request, read_length
from fastforward_pipeline.trail import Verdict

from . import transcoding

WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def judge(exchange: Exchange) -> Refusal | None:
    """Checks what the entry for everybody asks."""
    return admit(exchange, exchange.entry)


def admit(exchange: Exchange, plan: Plan) -> Refusal | None:
    """Checks what a Plan asks."""
    for admission in plan.admissions:
        refusal = _check(admission, exchange)
        if refusal is None:
            _tell(exchange, admission)
        elif admission.shadow:
            exchange.shade(refusal)
        else:
            return refusal
    return transcoding.judge(exchange, plan, body_length(exchange.request))


def _tell(exchange: Exchange, admission: Admission) -> None:
    if exchange.trail is not None:
        address = exchange.request.address
        lists = [shown(name) for name in admission.allow_lists if _is_in(exchange, name, address)]
        of = f", of {' and '.join(lists)}," if lists else ""
        detail = f"the client {address or 'without address'}{of} and its body are admitted"
        exchange.trail.note("admission", Verdict.PASSED, detail, object=admission.object, field="spec.admission")


def _check(admission: Admission, exchange: Exchange) -> Refusal | None:
    request = exchange.request
    refusal = _check_address(admission, request.address) or _check_lists(admission, exchange, request.address)
    if refusal is not None:
        return refusal
    if admission.max_body_bytes is not None:
        refusal = _check_size(admission, admission.max_body_bytes, request)
        if refusal is not None:
            return refusal
    if admission.content_types and _may_have_body(request):
        return _check_content_type(admission, request)
    return None


def _check_address(admission: Admission, address: str) -> Refusal | None:
    if admission.deny is not None and (address in admission.deny or not is_address(address)):
        return _refuse(Reason.ADDRESS_DENIED, admission, "denyAddresses", f"{address!r} is denied")
    if admission.allow is not None and not admission.allow_lists and address not in admission.allow:
        return _refuse(Reason.ADDRESS_DENIED, admission, "allowAddresses", f"{address!r} is not among those allowed")
    return None


def _check_lists(admission: Admission, exchange: Exchange, address: str) -> Refusal | None:
    for name in admission.deny_lists:
        found = exchange.snapshot.addresslists.get(name)
        if found is None or found.lost:
            return _refuse(Reason.ADDRESS_DENIED, admission, _field("deny", name), f"{shown(name)} can't be read")
        if address in found or not is_address(address):
            return _refuse(Reason.ADDRESS_DENIED, admission, _field("deny", name), f"{address!r} is of {shown(name)}")
    if not admission.allow_lists or (admission.allow is not None and address in admission.allow):
        return None
    if any(_is_in(exchange, name, address) for name in admission.allow_lists):
        return None
    listed = ", ".join(map(shown, admission.allow_lists))
    detail = f"{address!r} is not of {listed}"
    return _refuse(Reason.ADDRESS_DENIED, admission, _field("allow", admission.allow_lists[0]), detail)


def _is_in(exchange: Exchange, name: str, address: str) -> bool:
    found = exchange.snapshot.addresslists.get(name)
    return found is not None and not found.lost and address in found


def _field(verb: str, name: str) -> str:
    return f"{verb}Countries" if _is_country(name) else f"{verb}Lists"


def _is_country(name: str) -> bool:
    return name.rpartition("|")[2].isupper()


def shown(name: str) -> str:
    """What people call a list of this name."""
    return f"{'country' if _is_country(name) else 'list'} {name.rpartition('|')[2]}"


def _check_size(admission: Admission, bound: int, request: Request) -> Refusal | None:
    length = body_length(request)
    if length is None and bound == 0 and "transfer-encoding" in request.headers:
        return _refuse(Reason.BODY_TOO_LARGE, admission, "maxBodyBytes", "no body is admitted, and one comes in chunks")
    if length is not None and length > bound:
        return _refuse(Reason.BODY_TOO_LARGE, admission, "maxBodyBytes", f"{length} bytes are more than {bound}")
    return None


def _check_content_type(admission: Admission, request: Request) -> Refusal | None:
    given = request.text("content-type").partition(";")[0].strip(" \t").lower()
    if given in admission.content_types:
        return None
    expected = ", ".join(sorted(admission.content_types))
    return _refuse(
        Reason.CONTENT_TYPE, admission, "contentTypes", f"{given or 'no media type'} is not among {expected}"
    )


def body_length(request: Request) -> int | None:
    """Returns the length of the body as announced; None when it is not."""
    if request.body_bytes is not None:
        return request.body_bytes
    return read_length(request.text("content-length"))


def _may_have_body(request: Request) -> bool:
    length = body_length(request)
    if length is not None:
        return length > 0
    if "transfer-encoding" in request.headers or "content-type" in request.headers:
        return True
    return request.method not in WITHOUT_BODY


def _refuse(reason: Reason, admission: Admission, field: str, detail: str) -> Refusal:
    return Refusal(reason=reason, detail=detail, object=admission.object, field=f"spec.admission.{field}")
