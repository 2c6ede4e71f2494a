"""Issuers with keys made at test time, and the tokens that forgers make instead of them.

In: an `Issuer` and the audience it is configured with. Out: `Forgery` values, each an `Authorization` header that must
be refused and why. Used against the pipeline and against the real proxy, which must agree on every one.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

Sign = Callable[[bytes], bytes]


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: object) -> str:
    """A part of a compact token: bytes as they are, everything else as JSON."""
    return b64(value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode())


def compact(header: object, payload: object, sign: Sign) -> str:
    signed = f"{part(header)}.{part(payload)}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def signer(algorithm: str, key: Key) -> Sign:
    return lambda message: JWSRegistry.algorithms[algorithm].sign(message, key)


def mac(secret: bytes, digest: str = "sha256") -> Sign:
    return lambda message: hmac.new(secret, message, digest).digest()


def unsigned(_: bytes) -> bytes:
    return b""


def make_keys() -> dict[str, Key]:
    return {
        "rsa": RSAKey.generate_key(2048, {"kid": "rsa", "alg": "RS256", "use": "sig"}),
        "ec": ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256", "use": "sig"}),
        "ed": OKPKey.generate_key("Ed25519", {"kid": "ed", "alg": "EdDSA", "use": "sig"}),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whoever signs tokens; `now` is the time the tokens are made for."""

    name: str = "https://issuer.example"
    audience: str = "shop"
    now: int
    keys: Mapping[str, Key] = field(default_factory=make_keys)

    def jwks(self) -> bytes:
        return json.dumps({"keys": [key.as_dict(private=False) for key in self.keys.values()]}).encode()

    def claims(self, **changed: object) -> dict[str, object]:
        """Good claims with `changed` ones; None leaves a claim out."""
        good = {"iss": self.name, "aud": self.audience, "sub": "ann", "iat": self.now, "exp": self.now + 3600}
        return {name: value for name, value in {**good, **changed}.items() if value is not None}

    def header(self, kid: str = "rsa", **changed: object) -> dict[str, object]:
        return {"alg": str(self.keys[kid].alg), "kid": kid, "typ": "JWT", **changed}

    def sign(self, kid: str = "rsa") -> Sign:
        return signer(str(self.keys[kid].alg), self.keys[kid])

    def token(self, kid: str = "rsa", **claims: object) -> str:
        """A good token but for `claims`, which are changed ones; None leaves one out."""
        return compact(self.header(kid), self.claims(**claims), self.sign(kid))

    def signing(self, header: object, payload: object, kid: str = "rsa") -> str:
        """A token with a true signature over whatever header and payload."""
        return compact(header, payload, self.sign(kid))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    name: str
    authorization: str
    why: str
    status: int = 401


def forgeries(issuer: Issuer, forger: Issuer) -> tuple[Forgery, ...]:
    """Everything that must be refused; `forger` has keys of its own and is nobody's issuer."""
    groups = (
        unsigned_tokens,
        mac_confusion,
        wrong_keys,
        tempting_headers,
        broken_signatures,
        broken_forms,
        false_claims,
    )
    return tuple(
        Forgery(name=name, authorization=f"Bearer {token}", why=why, status=403 if name in FORBIDDEN else 401)
        for group in groups
        for name, token, why in group(issuer, forger)
    )


# Envoy answers 403 where the token is true and made for somebody else.
FORBIDDEN = frozenset({"aud-other", "aud-missing", "aud-list-of-others", "aud-longer", "aud-empty-list"})
Case = tuple[str, str, str]


def unsigned_tokens(issuer: Issuer, _: Issuer) -> Iterator[Case]:
    claims, why = issuer.claims(), "alg none means that nobody signed"
    for alg in ("none", "None", "NONE", "nOnE"):
        yield f"alg-{alg}", compact({"alg": alg}, claims, unsigned), why
        yield f"alg-{alg}-kid", compact({"alg": alg, "kid": "rsa"}, claims, unsigned), why
    true = issuer.token().rpartition(".")[2]
    yield "alg-none-true-signature", f"{part({'alg': 'none', 'kid': 'rsa'})}.{part(claims)}.{true}", why
    odd: tuple[tuple[str, Any], ...] = (("null", None), ("empty", ""), ("number", 256), ("list", ["RS256"]))
    for name, value in (*odd, ("lower", "rs256"), ("spaced", "RS256 ")):
        yield f"alg-{name}", issuer.signing({"alg": value, "kid": "rsa"}, claims), "not an algorithm"
    yield "alg-missing", issuer.signing({"kid": "rsa"}, claims), "no algorithm"


def mac_confusion(issuer: Issuer, _: Issuer) -> Iterator[Case]:
    claims, why = issuer.claims(), "a public key is no secret"
    public = issuer.keys["rsa"].public_key
    assert isinstance(public, RSAPublicKey)
    secrets = {
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "pem-stripped": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        "pkcs1": public.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "modulus": str(issuer.keys["rsa"]["n"]).encode(),
        "jwk": json.dumps(issuer.keys["rsa"].as_dict(private=False)).encode(),
        "empty": b"",
        "guessed": b"secret",
    }
    for name, secret in secrets.items():
        yield f"hs256-{name}", compact({"alg": "HS256", "kid": "rsa"}, claims, mac(secret)), why
    for digest in ("sha384", "sha512"):
        header = {"alg": f"HS{digest[3:]}", "kid": "rsa"}
        yield f"hs{digest[3:]}-pem", compact(header, claims, mac(secrets["pem"], digest)), why
    yield "hs256-without-kid", compact({"alg": "HS256"}, claims, mac(secrets["pem"])), why


def wrong_keys(issuer: Issuer, forger: Issuer) -> Iterator[Case]:
    claims, theirs = issuer.claims(), "signed by a key that is not the issuer's"
    for kid in ("rsa", "ec", "ed"):
        yield f"other-key-{kid}", compact(issuer.header(kid), claims, forger.sign(kid)), theirs
    yield "other-key-without-kid", compact({"alg": "RS256"}, claims, forger.sign()), theirs
    mixed = "the key is for another algorithm"
    for alg in ("RS384", "RS512", "PS256", "PS512"):
        token = compact({"alg": alg, "kid": "rsa"}, claims, signer(alg, issuer.keys["rsa"]))
        yield f"{alg.lower()}-with-rs256-key", token, mixed
    yield "es256-with-rsa-kid", compact({"alg": "ES256", "kid": "rsa"}, claims, issuer.sign("ec")), mixed
    yield "rs256-with-ec-kid", compact({"alg": "RS256", "kid": "ec"}, claims, issuer.sign()), mixed
    yield "eddsa-with-ec-kid", compact({"alg": "EdDSA", "kid": "ec"}, claims, issuer.sign("ed")), mixed
    yield "es384-with-p256-key", compact({"alg": "ES384", "kid": "ec"}, claims, issuer.sign("ec")), mixed
    for kid in ("../../dev/null", "' UNION SELECT 'x", "unknown", "RSA", "rsa\x00", "x" * 2000):
        odd = compact({"alg": "RS256", "kid": kid}, claims, forger.sign())
        yield f"kid-{kid[:12]!r}-other-key", odd, theirs
    yield "kid-unknown-true-key", issuer.signing({"alg": "RS256", "kid": "unknown"}, claims), "no key has that kid"
    for name, kid in (("number", 1), ("list", ["rsa"]), ("object", {"rsa": 1})):
        yield f"kid-{name}", issuer.signing({"alg": "RS256", "kid": kid}, claims), "kid is no string"
    yield "kid-traversal-empty-mac", compact({"alg": "HS256", "kid": "/dev/null"}, claims, mac(b"")), theirs


def tempting_headers(issuer: Issuer, forger: Issuer) -> Iterator[Case]:
    claims, why = issuer.claims(), "keys never come from the token"
    own = forger.keys["rsa"].as_dict(private=False)
    tempting: dict[str, object] = {
        "jwk": own,
        "jku": "http://127.0.0.1:1/jwks.json",
        "x5u": "http://127.0.0.1:1/chain.pem",
        "x5c": [b64(b"certificate")],
    }
    for name, value in tempting.items():
        for kid in ("rsa", "forged"):
            header = {"alg": "RS256", "kid": kid, name: value}
            yield f"{name}-kid-{kid}", compact(header, claims, forger.sign()), why
    yield "jwk-without-kid", compact({"alg": "RS256", "jwk": own}, claims, forger.sign()), why
    yield "crit-other-key", compact({**issuer.header(), "crit": ["exp"]}, claims, forger.sign()), why
    unknown: tuple[tuple[str, object], ...] = (("unknown", ["b64"]), ("empty", []), ("text", "exp"), ("null", None))
    for name, value in unknown:
        token = issuer.signing({**issuer.header(), "crit": value, "b64": True}, claims)
        yield f"crit-{name}-true-key", token, "what the issuer calls critical is not understood"
    yield "zip", compact({**issuer.header(), "zip": "DEF"}, b"\x03\x00", forger.sign()), why


def broken_signatures(issuer: Issuer, forger: Issuer) -> Iterator[Case]:
    good, why = issuer.token(), "the signature is not over this content"
    header, payload, signature = good.split(".")
    admin = part(issuer.claims(roles=["admin"]))
    yield "payload-changed", f"{header}.{admin}.{signature}", why
    yield "header-changed", f"{part(issuer.header(typ='at+jwt'))}.{payload}.{signature}", why
    yield "signature-missing", f"{header}.{payload}.", why
    yield "signature-cut", f"{good[:-8]}", why
    yield "signature-longer", f"{good}AAAA", why
    yield "signature-of-hash", compact(issuer.header(), issuer.claims(), lambda m: hashlib.sha256(m).digest()), why
    yield "signature-zeros", f"{header}.{payload}.{b64(bytes(256))}", why
    for name, raw in (("zeros", bytes(64)), ("ones", (1).to_bytes(32) * 2), ("short", bytes(8))):
        yield f"ecdsa-{name}", compact(issuer.header("ec"), issuer.claims(), lambda _, raw=raw: raw), why
    der = issuer.keys["ec"].private_key
    assert der is not None
    sign = signer("ES256", issuer.keys["ec"])
    doubled = compact(issuer.header("ec"), issuer.claims(), lambda m: b"\x30\x44" + sign(m))
    yield "ecdsa-der", doubled, "JWS has r and s bare"
    yield "eddsa-zeros", compact(issuer.header("ed"), issuer.claims(), lambda _: bytes(64)), why
    yield "signature-of-forger", f"{header}.{payload}.{forger.token().rpartition('.')[2]}", why


def broken_forms(issuer: Issuer, forger: Issuer) -> Iterator[Case]:
    good, why = issuer.token(), "not a compact JWS of JSON objects"
    header, payload, signature = good.split(".")
    forms = {
        "one-part": payload,
        "two-parts": f"{header}.{payload}",
        "four-parts": f"{good}.{signature}",
        "five-parts": f"{part({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.{signature}.{b64(b'iv')}.{payload}.{signature}",
        "only-dots": "..",
        "empty-header": f".{payload}.{signature}",
        "empty-payload": f"{header}..{signature}",
        "text": "not-a-token",
        "header-text": f"{b64(b'RS256')}.{payload}.{signature}",
    }
    for name, token in forms.items():
        yield name, token, why
    for name, raw in (
        ("list", b"[1]"),
        ("text", b'"x"'),
        ("null", b"null"),
        ("no-json", b"{"),
        ("latin", b'{"a":"\xff"}'),
    ):
        yield f"payload-{name}", issuer.signing(issuer.header(), raw), why
    yield "header-list", issuer.signing([1], issuer.claims()), why
    nested = compact(forger.header(cty="JWT"), good.encode(), forger.sign())
    yield "nested-other-key", nested, "the outer signature counts"
    yield "nested-true-key", issuer.signing(issuer.header(cty="JWT"), forger.token().encode()), why


def false_claims(issuer: Issuer, _: Issuer) -> Iterator[Case]:
    name, now = issuer.name, issuer.now
    other = "made by another issuer"
    issuers = {"other": "https://other.example", "prefix": name[:-1], "longer": f"{name}/", "upper": name.upper()}
    for case, value in (*issuers.items(), ("list", [name]), ("number", 1), ("empty", "")):
        yield f"iss-{case}", issuer.token(iss=value), other
    yield "iss-missing", issuer.token(iss=None), other
    for case, value in (
        ("other", "bank"),
        ("longer", "shopping"),
        ("list-of-others", ["bank", "x"]),
        ("empty-list", []),
    ):
        yield f"aud-{case}", issuer.token(aud=value), "made for somebody else"
    yield "aud-missing", issuer.token(aud=None), "made for nobody"
    for case, value in (("number", 1), ("object", {"shop": 1}), ("list-of-numbers", [1])):
        yield f"aud-{case}", issuer.token(aud=value), "not an audience"
    for case, value in (("past", now - 3600), ("text", str(now + 60)), ("negative", -1), ("list", [now + 60])):
        yield f"exp-{case}", issuer.token(exp=value), "expired, or not a time"
    for case, value in (("future", now + 3600), ("text", str(now)), ("negative", -1)):
        yield f"nbf-{case}", issuer.token(nbf=value), "not valid yet, or not a time"
    for claim in ("sub", "jti"):
        yield f"{claim}-number", issuer.token("rsa", **{claim: 1}), f"{claim} is no text"
    yield "iat-text", issuer.token(iat=str(now)), "not a time"
