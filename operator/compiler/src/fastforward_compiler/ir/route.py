"""What happens to which requests, resolved: one Entry for each match of each rule, on each host and tenant.

Made by translate/route; read by emit. Durations are milliseconds, sizes bytes; names are NAMESPACE/NAME.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .dispatch import AdapterDispatch, MessageDispatch, SchemaRef
from .placement import StagePlacement
from .session import Session
from .transcoding import Transcoding


class PathType(StrEnum):
    EXACT = "Exact"
    REGEX = "Regex"
    PREFIX = "Prefix"


class TextType(StrEnum):
    EXACT = "Exact"
    PREFIX = "Prefix"
    REGEX = "Regex"
    PRESENT = "Present"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMatch:
    """A condition on a header (name in lower case) or a query parameter."""

    name: str
    type: TextType
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """All that is set must hold.

    `roles`, `region` and `flag` are hop conditions: only the decision service can judge them.
    """

    path_type: PathType = PathType.PREFIX
    path: str = "/"
    methods: tuple[str, ...] = ()
    headers: tuple[TextMatch, ...] = ()
    query: tuple[TextMatch, ...] = ()
    listener: str = ""
    api_version: str = ""
    roles: tuple[str, ...] = ()
    region: str = ""
    flag: str = ""

    @property
    def needs_hop(self) -> bool:
        """Whether the proxy alone can't judge it."""
        return bool(self.roles or self.region or self.flag)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderChanges:
    """In the order remove, set, add; names in lower case."""

    remove: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """An Upstream and its share of the requests."""

    upstream: str
    """Empty for one that is not there: its share of the requests is answered 500."""
    weight: int
    request_headers: HeaderChanges = HeaderChanges()
    """Changes to its requests only, before those of the rule."""
    response_headers: HeaderChanges = HeaderChanges()
    """Changes to its answers only, before those of the rule."""
    session: Session | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """An Upstream that gets copies of some requests, and whose answers nobody sees."""

    upstream: str
    numerator: int = 1
    denominator: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Faults put in on purpose, into requests that meet all of `headers`; no delay or abort where its share is 0."""

    delay_ms: int = 0
    delay_percent: int = 0
    abort_status: int = 0
    abort_percent: int = 0
    headers: tuple[TextMatch, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Csrf:
    """Requests that change something come from pages of the request's own host, or of one of these."""

    hosts: tuple[str, ...] = ()
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """To Upstreams, by weight. `grpc` and `hash_on` come from the Upstreams: no request timeout; what a ring hashes."""

    shares: tuple[Share, ...]
    grpc: bool = False
    hash_on: tuple[str, ...] = ()
    """`header:NAME`, `cookie:NAME` or `address`; one each Upstream with a ring hash, without repetition."""
    near: tuple[str, ...] = ()
    """Upstreams of which a proxy asks the endpoints of its own zone, where there are enough of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardDispatch:
    """To the request's Shard; the decision names the Upstream in the header `x-ff-cluster`."""

    namespace: str
    purpose: str
    key: str
    """`tenant`, `subject` or `header:NAME`."""
    grpc: bool = False
    hash_on: tuple[str, ...] = ()
    """As in Split, over the Upstreams of all Shards for this purpose."""
    session: Session | None = None
    """Where all of them have the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """To elsewhere; empty parts stay as requested."""

    status: int
    scheme: str = ""
    host: str = ""
    port: int = 0
    path: str = ""
    prefix: str = ""
    """What the matched prefix becomes; at most one of `path` and `prefix` is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """An answer given by the edge."""

    status: int
    body: str = ""
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """Every reference of the destination is broken: status 500, as Gateway API demands."""

    reason: str


Destination = Split | ShardDispatch | Redirect | Respond | MessageDispatch | AdapterDispatch | Unavailable


def speaks_grpc(destination: Destination) -> bool:
    """Whether requests that come there are calls in gRPC."""
    match destination:
        case Split(grpc=grpc) | ShardDispatch(grpc=grpc):
            return grpc
        case AdapterDispatch(protocol=protocol):
            return protocol == "GRPC"
        case _:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """What the upstream sees instead; empty parts stay. `prefix` replaces the matched one."""

    host: str = ""
    prefix: str = ""
    path: str = ""
    regex_pattern: str = ""
    regex_substitution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cors:
    """Cross-origin requests."""

    allow_origins: tuple[str, ...]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age_ms: int = 600_000
    allow_credentials: bool = False
    answers_all: bool = False
    """Whether preflights from other origins are answered, too, rather than handed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When to try again."""

    attempts: int
    on: tuple[str, ...]
    codes: tuple[int, ...] = ()
    """Status codes of answers, besides what `on` says."""
    per_try_timeout_ms: int = 0
    backoff_ms: int = 25
    hedge: bool = False
    """Whether a try that has taken too long goes on beside the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What the body of a request, or of an answer, must be: held up to `max_bytes`, and judged by the schema."""

    schema: SchemaRef
    max_bytes: int
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Stage 2 on one object; several of them all hold."""

    allow_addresses: tuple[str, ...] = ()
    deny_addresses: tuple[str, ...] = ()
    allow_lists: tuple[str, ...] = ()
    """Names of AddressLists, those of countries among them."""
    deny_lists: tuple[str, ...] = ()
    max_body_bytes: int | None = None
    content_types: tuple[str, ...] = ()
    shadow: bool = False
    """Judged and reported, never enforced; set only where there is something to judge."""


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Entry:
    """One match of one rule in one table.

    Weakly referable, so that what is derived from it can be kept as long as it lives.
    """

    id: str
    """ROUTE#RULE.MATCH, unique in its table: `shop/books#list.0`; a gate is `gate`."""
    route: str
    """Name of the Route; empty for a gate."""
    rule: str
    priority: int
    match: Match
    destination: Destination
    gate: bool = False
    """Stands in where a host has no rule: callers are authenticated and led to their tenant's table; else 404."""
    edge_admission: Admission = Admission()
    admission: Admission = Admission()
    auth: str = ""
    """Name of the Auth; empty for none."""
    limits: tuple[str, ...] = ()
    """Names of the Limits."""
    placements: tuple[StagePlacement, ...] = ()
    """One a stage, in the order of STAGES."""
    hop: bool = False
    """Whether requests pass the decision service."""
    fail_open: bool = False
    """Whether they pass when it can't be reached."""
    rewrite: Rewrite | None = None
    request_headers: HeaderChanges = HeaderChanges()
    response_headers: HeaderChanges = HeaderChanges()
    cors: Cors | None = None
    csrf: Csrf | None = None
    timeout_ms: int | None = None
    """Whole request; None for the default of 15 s, 0 for no bound."""
    idle_timeout_ms: int | None = None
    retry: Retry | None = None
    mirrors: tuple[Mirror, ...] = ()
    fault: Fault | None = None
    body: Body | None = None
    response_body: Body | None = None
    transcoding: Transcoding | None = None
    schedule: str = ""
    """When the rule holds, in words; empty for always. At other times there is no entry."""

    @property
    def sessions(self) -> tuple[Session, ...]:
        """How clients stay with endpoints of the Upstreams, without repetition."""
        return sessions_of(self.destination)

    @property
    def served_inside(self) -> bool:
        """Whether the decision service judges the caller: in a decision, or because a message passes it."""
        return self.hop or isinstance(self.destination, MessageDispatch)

    @property
    def reaches_inside(self) -> bool:
        """Whether the decision service must know the entry."""
        return self.served_inside or self.response_body is not None or isinstance(self.destination, AdapterDispatch)

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Names of the Upstreams to which the proxy sends requests; none where the decision names them."""
        shares = self.destination.shares if isinstance(self.destination, Split) else ()
        named = (*(share.upstream for share in shares if share.upstream), *(each.upstream for each in self.mirrors))
        return tuple(dict.fromkeys((*named, self.ingress) if self.ingress else named))

    @property
    def ingress(self) -> str:
        """The Upstream that has the adapter that takes the requests; empty where the decision service has it."""
        return self.destination.ingress if isinstance(self.destination, MessageDispatch | AdapterDispatch) else ""


def sessions_of(destination: Destination) -> tuple[Session, ...]:
    """How clients stay with endpoints of the Upstreams of a destination, without repetition."""
    if isinstance(destination, ShardDispatch):
        return (destination.session,) if destination.session is not None else ()
    shares = destination.shares if isinstance(destination, Split) else ()
    return tuple(dict.fromkeys(share.session for share in shares if share.session is not None))
