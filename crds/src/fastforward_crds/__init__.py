"""The resources of FastForward: one pydantic model a kind, and how to read them.

Import the package and use its names qualified: `crds.Route`, `crds.parse_resource(document)`.
"""

from . import gatewayapi
from .addresslist import AddressList, CountryData
from .answers import Compression, SecurityHeaders
from .authpolicy import (
    ApiKey,
    Authentication,
    Authorization,
    AuthPolicy,
    AuthPolicySpec,
    Grant,
    Jwt,
    Provider,
)
from .backendtls import AuthoritiesRef, UpstreamTls
from .body import BodyRules
from .changes import HeaderChanges, HeaderValue, RegexRewrite, Rewrite
from .concurrency import AdaptiveConcurrency
from .cors import Cors
from .dispatch import (
    AdapterDispatch,
    Gather,
    GatherPart,
    GraphqlLimits,
    MessageDispatch,
    SchemaRef,
    ShardDispatch,
)
from .disturbance import Fault, MirrorTo
from .durations import milliseconds
from .edge import (
    Admission,
    Annotation,
    ApiVersions,
    Edge,
    EdgeSpec,
    EdgeTimeouts,
    Limits,
    Listener,
    ListenerTls,
    Proxies,
    ProxyService,
    RouteNamespaces,
    TrustedHops,
)
from .eventhook import DeadLetters, EventHook, EventHookSpec, HookRetry, HookTls
from .external import External
from .fielderror import FieldError
from .grpcclients import GrpcClients
from .jwks import JwksSource
from .match import Match, PathMatch, TextMatch
from .meta import API_VERSION, GROUP, VERSION, KeyRef, Model, ObjectMeta, PolicyTarget, Ref, Resource
from .native import ConfigMap, Namespace, ReferenceGrant, Secret
from .oidc import Oidc, OidcEndpoints
from .packed import Packed, pack
from .parse import Invalid, parse_resource
from .pods import Amounts, Resources
from .ratelimit import Budget, Concurrency, Cost, KeyPart, PlanBudget, RateLimit, RateLimitSpec
from .registry import CLUSTER_SCOPED, INPUTS, KINDS, PLURALS, Kind
from .responsebody import ResponseBodyRules
from .route import EdgeRef, Redirect, Respond, Route, RouteRule, RouteSpec, UpstreamShare
from .schedule import WEEKDAYS, Schedule, WeeklyHours, parse_clock, parse_instant
from .schema import Schema, SchemaSpec, SchemaVersion
from .service import (
    SERVICE_LABEL,
    EndpointConditions,
    EndpointSlice,
    Service,
    ServicePort,
    ServiceSpec,
    SliceEndpoint,
    SlicePort,
)
from .session import SessionAffinity, SessionCookie
from .shard import Shard, ShardSpec, ShardUpstream
from .tenant import Tenant, TenantLimit, TenantSpec
from .transcode import Transcode
from .tries import Retry, RuleTimeout
from .upstream import (
    CircuitBreaker,
    Dns,
    Endpoint,
    HashOn,
    HealthCheck,
    LoadBalancing,
    OutlierDetection,
    RetryBudget,
    ServiceRef,
    Upstream,
    UpstreamSpec,
    ZoneAware,
)
from .workload import PostgreSQL, RabbitMQ, Redis, Resilience, SecretKey, Workload, WorkloadSpec

__all__ = [name for name in dir() if not name.startswith("_")]
