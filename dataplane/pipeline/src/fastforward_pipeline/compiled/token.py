"""A JSON Web Token in compact form (RFC 7515, 7519), taken apart and checked for form; nothing is believed yet.

Called by compiled/keyset. It accepts and refuses what the proxy's jwt_authn does, tried on the real one, but for two
things that only the holder of the issuer's key could make: a `crit` header (refused, RFC 7515 section 4.1.11) and JSON
that is none (single quotes, trailing commas; refused).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_BASE64 = re.compile(r"[A-Za-z0-9_-]*={0,2}")
_MAX_TIME = 2.0**64
# What jwt_authn looks for, and where a token may begin after it.
_SCHEME = "Bearer "
_BEGIN = re.compile(r"[A-Za-z0-9_.-]")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Token:
    """A token of good form. Times are Unix seconds; 0 for none."""

    alg: str
    kid: str
    issuer: str
    subject: str
    audiences: frozenset[str]
    """Without scheme and closing slash, as the proxy compares them."""
    expires: int
    not_before: int
    claims: Mapping[str, object]
    signed: bytes
    signature: bytes


def find_token(authorization: str) -> str | None:
    """Returns the token in an Authorization header; None when there is none, whatever else there may be.

    As the proxy does, anywhere after the scheme's first occurrence.
    """
    place = authorization.find(_SCHEME)
    if place < 0:
        return None
    begin = _BEGIN.search(authorization, place + len(_SCHEME))
    return authorization[begin.start() :] if begin is not None else authorization


def parse_token(text: str) -> Token:
    """Returns the token. Raises ValueError that says what is wrong with it."""
    parts = text.split(".")
    if len(parts) != 3:
        raise ValueError("it has not three parts")
    header = _parse_object(_decode(parts[0], "header"), "header")
    claims = _parse_object(_decode(parts[1], "payload"), "payload")
    if "crit" in header:
        raise ValueError("its header asks for extensions (crit)")
    return Token(
        alg=_text(header, "alg", required=True),
        kid=_text(header, "kid"),
        issuer=_text(claims, "iss"),
        subject=_text(claims, "sub"),
        audiences=parse_audiences(claims.get("aud", [])),
        expires=_time(claims, "exp"),
        not_before=_time(claims, "nbf"),
        claims=_check_rest(claims),
        signed=f"{parts[0]}.{parts[1]}".encode("utf-8", "surrogatepass"),
        signature=_decode(parts[2], "signature"),
    )


def parse_audiences(value: object) -> frozenset[str]:
    """Returns `aud`, a text or a list of texts. Raises ValueError on anything else."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        raise ValueError("its aud is no text and no list of texts")
    audiences = set()
    for audience in values:
        if not isinstance(audience, str):
            raise ValueError("its aud is no text and no list of texts")
        audiences.add(simplify_audience(audience))
    return frozenset(audiences)


def simplify_audience(audience: str) -> str:
    """Returns the audience without scheme and closing slash: jwt_authn takes `https://shop/` and `shop` for one."""
    return audience.removeprefix("https://").removeprefix("http://").removesuffix("/")


def _check_rest(claims: dict[str, object]) -> dict[str, object]:
    _time(claims, "iat")
    _text(claims, "jti")
    return claims


def _decode(part: str, name: str) -> bytes:
    text = "".join(part.split())
    bare = text.rstrip("=")
    wrong_padding = len(text) != len(bare) and len(text) % 4 != 0
    if wrong_padding or len(bare) % 4 == 1 or _BASE64.fullmatch(text) is None:
        raise ValueError(f"its {name} is not base64url")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def _parse_object(data: bytes, name: str) -> dict[str, object]:
    try:
        parsed = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse, strict=False)
        # Half a surrogate pair is text that can't be written down again.
        if b"\\u" in data:
            json.dumps(parsed, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its {name} is not JSON") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"its {name} is no JSON object")
    return parsed


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _text(values: Mapping[str, object], name: str, *, required: bool = False) -> str:
    value = values.get(name, "")
    if not isinstance(value, str) or (required and not value):
        raise ValueError(f"its {name} is no text")
    return value


def _time(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MAX_TIME:
        raise ValueError(f"its {name} is no time")
    return int(value)
