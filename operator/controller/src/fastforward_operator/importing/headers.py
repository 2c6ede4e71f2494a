"""Traefik's middleware `headers` to changes of headers, and to cross-origin rules.

In: the middleware's field. Out: Wishes. Called by middleware. Source:
https://doc.traefik.io/traefik/reference/routing-configuration/http/middlewares/headers/
"""

from __future__ import annotations

from .draft import Document
from .reading import Field
from .wishes import Wishes

_OWN = ("x-ff-", "x-envoy-")
_OWN_NAMES = frozenset({"host", "connection", "transfer-encoding", "content-length"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_CORS = (
    *("accessControlAllowOriginList", "accessControlAllowOriginListRegex", "accessControlAllowMethods"),
    *("accessControlAllowHeaders", "accessControlExposeHeaders", "accessControlMaxAge"),
    *("accessControlAllowCredentials", "addVaryHeader"),
)
_TEXTS = {
    "customFrameOptionsValue": "x-frame-options",
    "contentSecurityPolicy": "content-security-policy",
    "contentSecurityPolicyReportOnly": "content-security-policy-report-only",
    "referrerPolicy": "referrer-policy",
    "permissionsPolicy": "permissions-policy",
    "customBrowserXSSValue": "x-xss-protection",
}
_FLAGS = {
    "frameDeny": ("x-frame-options", "DENY"),
    "contentTypeNosniff": ("x-content-type-options", "nosniff"),
    "browserXssFilter": ("x-xss-protection", "1; mode=block"),
}


_OLD = ("Traefik itself no longer takes it.", "Redirect by a rule for the HTTP listener.")
_LOST = {
    "isDevelopment": ("Headers are the same everywhere.", "Leave those away that are not wanted."),
    **dict.fromkeys(("sslRedirect", "sslTemporaryRedirect", "sslHost", "sslForceHost"), _OLD),
    **dict.fromkeys(("publicKey", "featurePolicy"), ("Browsers no longer take it.", "Nothing.")),
}


def take_headers(wishes: Wishes, found: Field) -> None:
    """All that the middleware says."""
    _custom(wishes, found["customRequestHeaders"], "requestHeaders")
    _custom(wishes, found["customResponseHeaders"], "responseHeaders")
    _flags(wishes, found)
    for name, header in _TEXTS.items():
        if found[name] and found[name].text():
            wishes.change_header("responseHeaders", "set", header, found[name].text())
    _sts(wishes, found)
    if any(found[name] for name in _CORS):
        _cors(wishes, found)
    if found["allowedHosts"].raw:
        wishes.close(found["allowedHosts"], "No list of hosts is looked at besides.", "Name the hosts in the Route.")
    for name, said in _LOST.items():
        found[name].lost(*said)
    for name in ("hostsProxyHeaders", "sslProxyHeaders"):
        found[name].aside("Who is in front is said by the Edge's trustedHops.")


def is_own(name: str) -> bool:
    """Whether a header, in lower case, belongs to the gateway."""
    return name in _OWN_NAMES or name.startswith(_OWN)


def _flags(wishes: Wishes, found: Field) -> None:
    for name, (header, value) in _FLAGS.items():
        if found[name] and found[name].flag():
            wishes.change_header("responseHeaders", "set", header, value)


def _custom(wishes: Wishes, found: Field, part: str) -> None:
    for name, value in found.parts():
        if is_own(name.lower()):
            _own(wishes, part, name, value)
        elif "_" in name:
            value.lost("The edge refuses headers with underscores.", "Name it with a hyphen.")
        elif value.text():
            wishes.change_header(part, "set", name.lower(), value.text())
        else:
            wishes.change_header(part, "remove", name.lower())
    if found.raw == {}:
        found.taken()


def _own(wishes: Wishes, part: str, name: str, value: Field) -> None:
    if part == "requestHeaders" and name.lower() == "host" and value.raw:
        wishes.body.setdefault("rewrite", {})["host"] = value.text()
        return
    value.lost("This header belongs to the gateway.", "Leave it away, or choose another name.")


def _sts(wishes: Wishes, found: Field) -> None:
    seconds = found["stsSeconds"].number() if found["stsSeconds"] else 0
    parts = [f"max-age={seconds}"]
    if found["stsIncludeSubdomains"] and found["stsIncludeSubdomains"].flag():
        parts.append("includeSubDomains")
    if found["stsPreload"] and found["stsPreload"].flag():
        parts.append("preload")
    forced = bool(found["forceSTSHeader"]) and found["forceSTSHeader"].flag()
    if seconds:
        wishes.change_header("responseHeaders", "set", "strict-transport-security", "; ".join(parts))
        if not forced:
            found["stsSeconds"].changed("The header is also in answers in clear text, where browsers ignore it.")


def _cors(wishes: Wishes, found: Field) -> None:
    origins = found["accessControlAllowOriginList"].texts()
    found["accessControlAllowOriginListRegex"].lost(
        "Origins are no regular expressions.", "List them, with * for labels."
    )
    found["addVaryHeader"].changed("Answers always vary by origin where that matters.")
    methods = found["accessControlAllowMethods"].texts()
    credentials = bool(found["accessControlAllowCredentials"]) and found["accessControlAllowCredentials"].flag()
    cors: Document = {"allowOrigins": origins}
    if methods:
        cors["allowMethods"] = sorted(_METHODS - {"TRACE", "CONNECT"}) if "*" in methods else methods
    _cors_headers(cors, found)
    if found["accessControlMaxAge"]:
        cors["maxAge"] = f"{found['accessControlMaxAge'].number()}s"
    if credentials and "*" in origins:
        message = "Credentials are not granted to every origin."
        found["accessControlAllowCredentials"].lost(message, "Name the origins to grant them.")
    elif credentials:
        cors["allowCredentials"] = True
    if origins:
        wishes.body["cors"] = cors
    else:
        found["accessControlAllowMethods"].aside("No origin is allowed.")


def _cors_headers(cors: Document, found: Field) -> None:
    for name, part in (("accessControlAllowHeaders", "allowHeaders"), ("accessControlExposeHeaders", "exposeHeaders")):
        listed = [each.lower() for each in found[name].texts()]
        if listed:
            cors[part] = [each for each in listed if each != "*"]
        if "*" in listed:
            found[name].lost("Headers are named one by one.", "List those that scripts use.")
