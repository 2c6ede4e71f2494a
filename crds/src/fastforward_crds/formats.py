"""How texts in resources are written: names, hosts, headers, durations. One row a format.

In: nothing. Out: the annotated types that the kinds use, and FORMATS, from which the reference is made. Called by the
kind modules. Why it exists: a pattern says to a machine what is allowed; the row beside it says so to people.
Patterns are in the syntax that RE2 (the API server) and Rust's regex (pydantic) share: no look-around.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

FORMAT_KEY = "x-format"
"""Where a schema made here keeps the name of the format."""


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write a text; as metadata of a type it refuses every other text with a sentence that says how."""

    name: str
    """What such a text is, with its article: `a host`."""
    pattern: str
    max_length: int
    """In characters."""
    rule: str
    """How it is written, to follow a colon."""
    example: str

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.custom_error_schema(
            core_schema.str_schema(pattern=self.pattern, max_length=self.max_length, strict=True),
            custom_error_type="format",
            custom_error_message="{name}: {rule}; at most {max_length} characters",
            custom_error_context={"name": self.name, "rule": self.rule, "max_length": self.max_length},
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), FORMAT_KEY: self.name}


_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_DNS = rf"{_LABEL}(\.{_LABEL})*"

NAME = Format("an object name", f"^{_DNS}$", 253, "lower-case letters, digits, - and . (RFC 1123 subdomain)", "books")
LABEL = Format("a label", f"^{_LABEL}$", 63, "lower-case letters, digits and - (RFC 1123 label)", "list-books")
HOST = Format(
    "a host",
    rf"^(\*|(\*\.)?{_DNS})$",
    253,
    "lower case, without port; *.suffix for every host below a suffix, * for every host",
    "*.shop.example.com",
)
EXACT_HOST = Format("an exact host", f"^{_DNS}$", 253, "lower case, without port and without *", "shop.example.com")
TENANT = Format("a tenant", rf"^(\*|{_DNS})$", 253, "the name of a Tenant, or * for all", "acme")
ADDRESS = Format(
    "an address", "^[0-9A-Za-z][-0-9A-Za-z.:]{0,252}$", 253, "an IP address or a DNS name", "cache.internal"
)
IP = Format("an IP address", "^[0-9A-Fa-f.:]{2,45}$", 45, "IPv4 or IPv6", "10.0.0.7")
CIDR = Format(
    "a network",
    "^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?$",
    49,
    "an IP network; a bare address means itself alone",
    "10.0.0.0/8",
)
HEADER = Format(
    "a header name",
    "^[A-Za-z0-9!#$%&'*+.^`|~-]{1,128}$",
    128,
    "an HTTP field name (RFC 9110, section 5.1) without underscores, which the edge refuses",
    "x-tenant-tier",
)
VALUE = Format("a header value", r"^[\x20-\x7E]*$", 4096, "printable ASCII, so no line breaks", "no-store")
DURATION = Format(
    "a duration",
    "^([0-9]{1,5}(h|m|s|ms)){1,4}$",
    24,
    "whole numbers with the units h, m, s and ms (GEP-2257)",
    "1m30s",
)
INSTANT = Format(
    "an instant",
    "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$",
    25,
    "date, T, time and offset (RFC 3339), without fractions of seconds",
    "2026-12-24T18:00:00+01:00",
)
CLOCK = Format(
    "a time of day", "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", 5, "hours and minutes; 24:00 is the day's end", "08:30"
)
ZONE = Format(
    "a time zone",
    "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$",
    64,
    "a name of the IANA time zone database",
    "Europe/Berlin",
)
PLACE = Format(
    "a topology zone",
    "^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
    63,
    "letters, digits, -, _ and . (the value of a label)",
    "eu-central-1a",
)
PIN = Format(
    "a digest of a public key",
    "^[A-Za-z0-9+/]{43}=$",
    44,
    "SHA-256 of the SubjectPublicKeyInfo, in base64",
    "NvqYIYSbgK2vCJpQhObf77vv+bQWtc5ek5RIOwPiC9A=",
)
KEY = Format("a key", "^[-._a-zA-Z0-9]{1,253}$", 253, "letters, digits, -, . and _", "jwks.json")
PATH = Format("a path", "^/[!-~]*$", 1024, "starts with /; printable ASCII without spaces", "/books")
SUBSTITUTION = Format(
    "a substitution", "^[!-~]*$", 512, r"printable ASCII without spaces; \1 is the first group", r"/v2/\1"
)
MEDIA_TYPE = Format(
    "a media type",
    "^[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+$",
    128,
    "type/subtype in lower case, without parameters",
    "application/json",
)
CONTENT_TYPE = Format("a content type", "^[ -~]+$", 128, "a media type with its parameters", "text/html; charset=utf-8")
ORIGIN = Format(
    "an origin",
    r"^(\*|https?://[!-~]{1,253})$",
    261,
    "scheme and host, * in it for any labels; * alone for every origin",
    "https://*.example.com",
)
JSON_PATH = Format(
    "a path in JSON",
    r"^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}$",
    128,
    "names of members with dots between, each of letters, digits, - and _",
    "usage.total_tokens",
)
COOKIE = Format("a cookie name", "^[A-Za-z0-9_-]{1,64}$", 64, "letters, digits, - and _", "session")
COOKIE_PATH = Format(
    "a cookie's path",
    "^/[A-Za-z0-9/._~-]{0,255}$",
    256,
    "starts with /; letters, digits, /, ., _, ~ and -",
    "/shop",
)
URL = Format("a URL", "^https?://[!-~]{1,1000}$", 1008, "http or https", "https://issuer.example.com/jwks.json")
IDENTIFIER = Format(
    "an identifier", "^[!-~]{1,512}$", 512, "printable ASCII without spaces", "https://issuer.example.com/"
)
SITE = Format(
    "a site",
    rf"^https?://{_DNS}(:[0-9]{{1,5}})?$",
    267,
    "scheme, host and maybe port",
    "https://shop.example.com:8443",
)
LOCATION = Format(
    "a path of a page",
    "^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$",
    256,
    "segments of letters, digits, -, ., _ and ~ that begin with no dot",
    "/oauth2/callback",
)
SCOPE = Format("a scope", "^[!#-[\\]-~]{1,128}$", 128, r'printable ASCII without spaces, " and \ (RFC 6749)', "profile")
CLAIM = Format("a claim", "^[A-Za-z0-9_:/.-]{1,128}$", 128, "letters, digits, _, :, /, . and -", "tenant")
PERMISSION = Format(
    "a permission", "^[A-Za-z0-9_:.*/-]{1,128}$", 128, "letters, digits, _, :, ., *, / and -", "stock:write"
)
MESSAGE = Format(
    "a message type",
    r"^[a-z][a-z0-9-]{0,62}(\.[a-z][a-z0-9-]{0,62}){1,3}$",
    253,
    "two to four words with dots between, each of lower-case letters, digits and -",
    "shop.orders.place",
)
ANNOTATION = Format(
    "a qualified name",
    rf"^({_DNS}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?$",
    317,
    "a name, after a DNS name and / where it has a prefix (Kubernetes: qualified name)",
    "example.com/scheme",
)
CPU = Format(
    "an amount of cores", r"^([0-9]{1,6}m|[0-9]{1,3}(\.[0-9]{1,3})?)$", 7, "cores, or thousandths with m", "500m"
)
MEMORY = Format("an amount of memory", "^[0-9]{1,12}(Ki|Mi|Gi)?$", 14, "bytes, or with Ki, Mi or Gi", "512Mi")
SERVICE = Format(
    "a service",
    r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$",
    253,
    "its full name in protobuf, with the package",
    "shop.v1.Orders",
)
METHOD = Format("a method", "^[A-Z]{1,16}$", 16, "an HTTP method in capitals", "GET")
COUNTRY = Format("a country", "^[A-Z]{2}$", 2, "two capital letters (ISO 3166-1 alpha-2)", "DE")

FORMATS: tuple[Format, ...] = (
    NAME,
    LABEL,
    HOST,
    EXACT_HOST,
    TENANT,
    ADDRESS,
    IP,
    CIDR,
    HEADER,
    VALUE,
    DURATION,
    INSTANT,
    CLOCK,
    ZONE,
    PLACE,
    KEY,
    PIN,
    PATH,
    SUBSTITUTION,
    MEDIA_TYPE,
    CONTENT_TYPE,
    ORIGIN,
    JSON_PATH,
    COOKIE,
    COOKIE_PATH,
    URL,
    SITE,
    LOCATION,
    SCOPE,
    IDENTIFIER,
    CLAIM,
    PERMISSION,
    MESSAGE,
    ANNOTATION,
    CPU,
    MEMORY,
    SERVICE,
    METHOD,
    COUNTRY,
)
"""Every format, in the order of the reference."""

Name = Annotated[str, NAME]
Label = Annotated[str, LABEL]
Host = Annotated[str, HOST]
ExactHost = Annotated[str, EXACT_HOST]
Address = Annotated[str, ADDRESS]
Cidr = Annotated[str, CIDR]
Country = Annotated[str, COUNTRY]
Cpu = Annotated[str, CPU]
Memory = Annotated[str, MEMORY]
HeaderName = Annotated[str, HEADER]
JsonPath = Annotated[str, JSON_PATH]
HeaderText = Annotated[str, VALUE]
PathText = Annotated[str, PATH]
RegexText = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""A regular expression in RE2's syntax; the compiler checks it."""
Condition = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
"""A CEL expression over `request` and `identity`; it must yield a boolean."""
