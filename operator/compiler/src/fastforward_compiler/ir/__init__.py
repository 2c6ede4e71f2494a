"""The intermediate representation: what the resources mean, every reference resolved, nothing of Kubernetes or Envoy.

Import the package and use its names qualified: `ir.Entry`, `ir.Table`. Standard library only.
"""

from .authpolicy import (
    ApiKey,
    ApiKeyHeader,
    ApiKeys,
    Auth,
    Authorization,
    Grant,
    Jwt,
    KeySet,
    Mode,
    Provider,
    claim_path,
)
from .delta import Changes, Delta, Output, Report
from .edge import Certificate, Chain, Edge, Listener, Proxies
from .ratelimit import Budget, KeyPart, Limit
from .route import (
    STAGES,
    Admission,
    Cors,
    Destination,
    Entry,
    HeaderChanges,
    Match,
    Mirror,
    PathType,
    Placement,
    Redirect,
    Respond,
    Retry,
    Rewrite,
    ShardDispatch,
    Share,
    Split,
    StagePlacement,
    TextMatch,
    TextType,
    Unavailable,
)
from .shard import Shard
from .snapshot import Snapshot
from .table import Scope, Table
from .tenant import Tenant
from .upstream import Dns, Endpoint, HealthCheck, OutlierDetection, Upstream, UpstreamTls
from .verdict import Part, Verdict
from .workload import Pods, Redis, Workload

__all__ = [
    "STAGES",
    "Admission",
    "ApiKey",
    "ApiKeyHeader",
    "ApiKeys",
    "Auth",
    "Authorization",
    "Budget",
    "Certificate",
    "Chain",
    "Changes",
    "Cors",
    "Delta",
    "Destination",
    "Dns",
    "Edge",
    "Endpoint",
    "Entry",
    "Grant",
    "HeaderChanges",
    "HealthCheck",
    "Jwt",
    "KeyPart",
    "KeySet",
    "Limit",
    "Listener",
    "Match",
    "Mirror",
    "Mode",
    "OutlierDetection",
    "Output",
    "Part",
    "PathType",
    "Placement",
    "Pods",
    "Provider",
    "Proxies",
    "Redirect",
    "Redis",
    "Report",
    "Respond",
    "Retry",
    "Rewrite",
    "Scope",
    "Shard",
    "ShardDispatch",
    "Share",
    "Snapshot",
    "Split",
    "StagePlacement",
    "Table",
    "Tenant",
    "TextMatch",
    "TextType",
    "Unavailable",
    "Upstream",
    "UpstreamTls",
    "Verdict",
    "Workload",
    "claim_path",
]
