"""Why a request is refused: a closed list, with what clients are told and how operators mend it.

Read by the stages, by `problem` and by the Trail. The proxy refuses with the same words where it judges natively.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """STAGE/REASON, as the access log has it."""

    MALFORMED = "normalization/malformed"
    CONTENT_MALFORMED = "normalization/content-malformed"
    CONTENT_INVALID = "normalization/content-invalid"
    CONTENT_UNTYPED = "normalization/content-untyped"
    SCHEMA_MISSING = "normalization/schema-missing"
    CONTENT_UNSEEN = "normalization/content-unseen"
    NO_ROUTE = "routing/no-route"
    PLAN_UNKNOWN = "routing/plan-unknown"
    ADDRESS_DENIED = "admission/address-denied"
    ORIGIN_DENIED = "admission/origin-denied"
    PAGE_FOREIGN = "admission/page-foreign"
    BODY_TOO_LARGE = "admission/body-too-large"
    CONTENT_TYPE = "admission/content-type"
    TOKEN_MISSING = "authentication/token-missing"
    KEY_MISSING = "authentication/key-missing"
    CREDENTIALS_MISSING = "authentication/credentials-missing"
    PASSWORD_MISSING = "authentication/password-missing"
    PASSWORD_WRONG = "authentication/password-wrong"
    PASSWORDS_BUSY = "authentication/passwords-busy"
    LOGIN_STARTED = "authentication/login-started"
    LOGGED_IN = "authentication/logged-in"
    LOGGED_OUT = "authentication/logged-out"
    LOGIN_REQUIRED = "authentication/login-required"
    LOGIN_FAILED = "authentication/login-failed"
    LOGIN_UNAVAILABLE = "authentication/login-unavailable"
    TOKEN_INVALID = "authentication/token-invalid"
    AUDIENCE_NOT_ALLOWED = "authentication/audience-not-allowed"
    KEY_UNKNOWN = "authentication/key-unknown"
    KEY_EXPIRED = "authentication/key-expired"
    NOT_READY = "authentication/not-ready"
    TENANT_NOT_ALLOWED = "authentication/tenant-not-allowed"
    TENANT_CONFLICT = "authentication/tenant-conflict"
    TENANT_GUARD = "authorization/tenant-guard"
    NOT_GRANTED = "authorization/not-granted"
    EXTERNAL_UNAUTHENTICATED = "authorization/external-unauthenticated"
    EXTERNAL_REFUSED = "authorization/external-refused"
    EXTERNAL_EXCEEDED = "authorization/external-exceeded"
    EXTERNAL_UNAVAILABLE = "authorization/external-unavailable"
    EXCEEDED = "ratelimit/exceeded"
    QUOTA_USED = "ratelimit/quota-used"
    TOO_MANY_AT_ONCE = "ratelimit/too-many-at-once"
    COUNTERS_UNAVAILABLE = "ratelimit/counters-unavailable"
    SHARD_KEY_MISSING = "routing/shard-key-missing"
    SHARD_UNAVAILABLE = "routing/shard-unavailable"
    UNAVAILABLE = "routing/unavailable"
    IDEMPOTENCY_KEY_REQUIRED = "tracking/key-required"
    IDEMPOTENCY_KEY_MALFORMED = "tracking/key-malformed"
    IN_PROGRESS = "tracking/in-progress"
    KEY_REUSED = "tracking/key-reused"
    RESULT_NOT_KEPT = "tracking/result-not-kept"
    OUTCOME_UNKNOWN = "tracking/outcome-unknown"
    STORE_UNAVAILABLE = "tracking/store-unavailable"
    OUT_OF_TIME = "dispatch/out-of-time"
    OVERLOADED = "dispatch/overloaded"
    UNREACHABLE = "dispatch/unreachable"
    INCOMPLETE = "dispatch/incomplete"
    COMMANDS_UNAVAILABLE = "dispatch/unavailable"
    UNCONFIRMED = "dispatch/unconfirmed"
    REPLY_OF_ANOTHER = "authorization/reply-of-another"
    REPLY_MALFORMED = "normalization/reply-malformed"
    REPLY_UNJUDGED = "normalization/reply-unjudged"
    STAGE_MALFORMED = "dispatch/stage-malformed"
    QUERY_MALFORMED = "normalization/query-malformed"
    QUERY_INVALID = "normalization/query-invalid"
    DOCUMENT_TOO_LARGE = "admission/document-too-large"
    QUERY_TOO_DEEP = "admission/query-too-deep"
    QUERY_TOO_COMPLEX = "admission/query-too-complex"
    TOO_MANY_ALIASES = "admission/too-many-aliases"
    PAGE_TOO_LARGE = "admission/page-too-large"
    BATCH_TOO_LARGE = "admission/batch-too-large"
    INTROSPECTION_OFF = "admission/introspection-off"

    @property
    def stage(self) -> str:
        """The stage that refuses."""
        return self.value.partition("/")[0]

    @property
    def short(self) -> str:
        """The reason without its stage."""
        return self.value.partition("/")[2]


class Facts(NamedTuple):
    """What there is to say about a Reason."""

    status: int
    title: str
    """For clients; says nothing that they must not know."""
    remedy: str
    """For operators, in `ff explain`."""


FACTS: dict[Reason, Facts] = {
    Reason.MALFORMED: Facts(400, "The request is malformed", "Send a request that RFC 9110 and RFC 3986 allow."),
    Reason.NO_ROUTE: Facts(
        404, "No route matches the request", "Add a rule for this host and path, or mend the condition that failed."
    ),
    Reason.PLAN_UNKNOWN: Facts(
        503,
        "The decision service does not know this route yet",
        "Nothing to do when it passes within seconds; otherwise look at `ff status` for the snapshot stream.",
    ),
    Reason.ADDRESS_DENIED: Facts(
        403, "The client address is not admitted", "Change what the admission settings allow and deny, or their lists."
    ),
    Reason.ORIGIN_DENIED: Facts(
        403, "Pages of this origin may not open connections", "Add the origin to adapter.origins of the rule."
    ),
    Reason.PAGE_FOREIGN: Facts(
        403,
        "Pages of this origin may not send such requests",
        "Add the page's host to csrf.hosts of the rule; a caller that is no browser sends the host as Origin.",
    ),
    Reason.BODY_TOO_LARGE: Facts(
        413, "The request body is too large", "Send less, or raise maxBodyBytes in the admission settings."
    ),
    Reason.CONTENT_TYPE: Facts(
        415, "The media type is not accepted", "Send one of contentTypes, or add the type to the admission settings."
    ),
    Reason.TOKEN_MISSING: Facts(401, "A token is needed", "Send `Authorization: Bearer TOKEN`."),
    Reason.KEY_MISSING: Facts(401, "An API key is needed", "Send the API key in the provider's header."),
    Reason.CREDENTIALS_MISSING: Facts(
        401, "Credentials are needed", "Send what one of the policy's providers takes: a token, an API key, a password."
    ),
    Reason.PASSWORD_MISSING: Facts(401, "A name and a password are needed", "Send `Authorization: Basic ...`."),
    Reason.PASSWORD_WRONG: Facts(
        401, "The name or the password is wrong", "Make an entry with `ff user add` and put it into the Secret."
    ),
    Reason.PASSWORDS_BUSY: Facts(
        503,
        "Too many passwords are being verified",
        "Ask again in a second. If it lasts, somebody is guessing: limit the rate by address, or give EntryPoint more "
        "threads for passwords.",
    ),
    Reason.LOGIN_STARTED: Facts(
        302, "Log in first", "Nothing to mend: a browser without a session is sent to the issuer."
    ),
    Reason.LOGGED_IN: Facts(302, "Logged in", "Nothing to mend: the browser is sent to the page that it came for."),
    Reason.LOGGED_OUT: Facts(302, "Logged out", "Nothing to mend: the session has ended."),
    Reason.LOGIN_REQUIRED: Facts(
        401,
        "A login is needed",
        "Open the page in a browser; for programs add a provider that they can satisfy, such as jwt.",
    ),
    Reason.LOGIN_FAILED: Facts(
        401,
        "The login failed",
        "Begin again at the page itself; if it lasts, compare the provider with the client that the issuer knows.",
    ),
    Reason.LOGIN_UNAVAILABLE: Facts(
        503, "The issuer can't be asked", "Look after the token endpoint and the Upstream by which it is reached."
    ),
    Reason.TOKEN_INVALID: Facts(
        401, "The token is not valid", "Get a new token from the issuer; compare its claims with the provider."
    ),
    Reason.AUDIENCE_NOT_ALLOWED: Facts(
        403, "The token is for somebody else", "Ask the issuer for a token with one of the provider's audiences."
    ),
    Reason.KEY_UNKNOWN: Facts(
        401, "The API key is not valid", "Make a key with `ff key create` and put its entry into the Secret."
    ),
    Reason.KEY_EXPIRED: Facts(401, "The API key has expired", "Make a new key with `ff key create`."),
    Reason.NOT_READY: Facts(
        503, "The issuer's keys are not here yet", "Look at the status of the AuthPolicy: its keys are missing."
    ),
    Reason.TENANT_NOT_ALLOWED: Facts(
        403,
        "The token may not speak for this tenant",
        "Add the tenant, or an ancestor of it, to the provider's tenants.",
    ),
    Reason.TENANT_CONFLICT: Facts(
        403,
        "The request names two tenants",
        "Use a host, header and credentials of one and the same tenant.",
    ),
    Reason.TENANT_GUARD: Facts(
        403, "The route belongs to another tenant", "Use credentials of the tenant whose route this is."
    ),
    Reason.NOT_GRANTED: Facts(
        403, "The caller is not allowed to do this", "Give the caller what one of the policy's grants asks for."
    ),
    Reason.EXTERNAL_UNAUTHENTICATED: Facts(
        401, "Credentials are needed", "Send what the policy's external service asks for; `detail` is what it says."
    ),
    Reason.EXTERNAL_REFUSED: Facts(
        403,
        "The caller is not allowed to do this",
        "The policy's external service refuses it; `detail` is what it says. Ask whoever runs it.",
    ),
    Reason.EXTERNAL_EXCEEDED: Facts(
        429,
        "Too many requests",
        "The policy's external service says so: wait for Retry-After seconds, if it says that.",
    ),
    Reason.EXTERNAL_UNAVAILABLE: Facts(
        503,
        "Whether the caller is allowed to do this can't be told now",
        "Look after the policy's external service, give it more time, or set external.onFailure: Open.",
    ),
    Reason.EXCEEDED: Facts(429, "Too many requests", "Wait for Retry-After seconds, or raise the limit's budget."),
    Reason.QUOTA_USED: Facts(
        429,
        "The quota is used up",
        "Wait for Retry-After seconds: the next period begins; or raise the limit's budget.",
    ),
    Reason.TOO_MANY_AT_ONCE: Facts(
        429,
        "Too many requests at once",
        "Wait until one of the caller's requests has ended, or raise the limit's budget.",
    ),
    Reason.COUNTERS_UNAVAILABLE: Facts(
        503, "The rate limit can't be counted", "Look after the counters, or set onFailure: Open on the RateLimit."
    ),
    Reason.SHARD_KEY_MISSING: Facts(
        400, "The request does not say which shard it is for", "Send what the rule's shards.key names."
    ),
    Reason.SHARD_UNAVAILABLE: Facts(
        503,
        "No shard can take the request",
        "Activate a Shard that has an upstream for this purpose; create the parent that a Tenant names.",
    ),
    Reason.CONTENT_MALFORMED: Facts(
        400, "The content is malformed", "Send content of the media type that the request names, in UTF-8."
    ),
    Reason.CONTENT_INVALID: Facts(
        422, "The content breaks the schema", "Send content that keeps the Schema of the rule; `errors` says where."
    ),
    Reason.CONTENT_UNTYPED: Facts(
        415, "The content must be JSON", "Send `Content-Type: application/json`: only JSON can keep a schema."
    ),
    Reason.SCHEMA_MISSING: Facts(
        503,
        "The schema of the content is not here",
        "Nothing to do when it passes within seconds; otherwise look at the status of the Schema.",
    ),
    Reason.CONTENT_UNSEEN: Facts(
        503,
        "The content could not be judged",
        "The proxy held no body, for it saw another rule: look at what the Route's rules with `body` match.",
    ),
    Reason.IDEMPOTENCY_KEY_REQUIRED: Facts(
        400,
        "An idempotency key is needed",
        "Send `Idempotency-Key`, a new one for each new request: the rule asks for it.",
    ),
    Reason.IDEMPOTENCY_KEY_MALFORMED: Facts(
        400,
        "The idempotency key is malformed",
        "Send one key of at most 255 printable ASCII characters, as it is or between double quotes.",
    ),
    Reason.IN_PROGRESS: Facts(
        409, "The same request is being handled", "Ask again with the same key: its result is told once it is there."
    ),
    Reason.KEY_REUSED: Facts(
        422, "The idempotency key belongs to another request", "Use a new key for each new request."
    ),
    Reason.RESULT_NOT_KEPT: Facts(
        409,
        "The request has been handled, and its result was too large to be told again",
        "Nothing to do: it was handled once. Ask for what it made by another request.",
    ),
    Reason.OUTCOME_UNKNOWN: Facts(
        409,
        "Whether the request with this key was handled is not known",
        "Find out by another request whether it was; if not, send it with a new key.",
    ),
    Reason.STORE_UNAVAILABLE: Facts(
        503,
        "Whether the request has been handled can't be told now",
        "Look after the store of idempotency keys (PostgreSQL or Redis), and send the request again with its key.",
    ),
    Reason.OUT_OF_TIME: Facts(
        504, "The upstream did not answer in time", "Look at the target's times, or give the rule a longer timeout."
    ),
    Reason.OVERLOADED: Facts(
        503, "The upstream has more requests than it is allowed", "Ask again later, or raise the hop's bulkhead."
    ),
    Reason.UNREACHABLE: Facts(
        503,
        "The upstream can't be reached",
        "Look at the Upstream's endpoints, the hop in `ff status`, and EntryPoint's log: `no answer`.",
    ),
    Reason.INCOMPLETE: Facts(
        503,
        "Too few of the upstreams answered",
        "`errors` says why each one did not; look at the Upstreams, or ask for fewer by `gather.require`.",
    ),
    Reason.COMMANDS_UNAVAILABLE: Facts(
        503,
        "Commands can't be taken now",
        "Look after RabbitMQ; the decision service finds it by FF_ENTRYPOINT_RABBITMQ_URL.",
    ),
    Reason.UNCONFIRMED: Facts(
        503,
        "Whether the command was taken is not known",
        "Look after RabbitMQ. Callers send it again with the same idempotency key.",
    ),
    Reason.REPLY_OF_ANOTHER: Facts(
        502, "The answer belongs to somebody else", "The target answers in another tenant's name: mend the target."
    ),
    Reason.STAGE_MALFORMED: Facts(
        502,
        "A stage's answer is malformed",
        "What a Workload runs elsewhere answers against its .proto: the log of EntryPoint says how; mend it.",
    ),
    Reason.REPLY_MALFORMED: Facts(
        502,
        "The answer is malformed",
        "The target's content is not what its media type and the rule's Schema say: mend the target.",
    ),
    Reason.REPLY_UNJUDGED: Facts(
        502,
        "The answer could not be judged",
        "The rule has `responseBody`: look whether the decision service can be reached, and at the Schema's status.",
    ),
    Reason.QUERY_MALFORMED: Facts(
        400, "The query is malformed", "Send a request that GraphQL over HTTP allows, with a document that parses."
    ),
    Reason.QUERY_INVALID: Facts(
        400, "The query does not fit the schema", "Compare the document and its variables with the Schema."
    ),
    Reason.DOCUMENT_TOO_LARGE: Facts(
        400, "The document is too large", "Ask for less in one document, or split it into several requests."
    ),
    Reason.QUERY_TOO_DEEP: Facts(
        400, "The query is too deep", "Nest fewer fields, or raise graphql.depth of the rule."
    ),
    Reason.QUERY_TOO_COMPLEX: Facts(
        400, "The query asks for too much", "Ask for smaller pages, or raise graphql.complexity of the rule."
    ),
    Reason.TOO_MANY_ALIASES: Facts(
        400, "The query has too many aliases", "Use fewer aliases, or raise graphql.aliases of the rule."
    ),
    Reason.PAGE_TOO_LARGE: Facts(
        400, "A page is too large", "Ask for fewer elements, or raise graphql.pageSize of the rule."
    ),
    Reason.BATCH_TOO_LARGE: Facts(
        400, "There are too many operations in one request", "Send fewer at once, or raise graphql.batch of the rule."
    ),
    Reason.INTROSPECTION_OFF: Facts(
        400, "The schema is not told", "Set graphql.introspection of the rule where clients may ask for it."
    ),
    Reason.UNAVAILABLE: Facts(
        500, "The route has no usable destination", "Look at the Route's status: a reference or a policy is broken."
    ),
}
