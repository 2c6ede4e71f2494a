"""The kinds of Gateway API (gateway.networking.k8s.io/v1): models with the part of them that means something here.

Import the package and use its names qualified: `gatewayapi.HttpRoute`. The definitions belong to the cluster; documents
from files have the defaults that they give.
"""

from .backendtlspolicy import AltName, BackendTlsPolicy, BackendTlsPolicySpec, BackendValidation, TlsTarget
from .filter import (
    CorsFilter,
    FilteredBackend,
    Header,
    HeaderFilter,
    MirrorFilter,
    PathModifier,
    RedirectFilter,
    RewriteFilter,
    RouteFilter,
)
from .gateway import (
    AllowedRoutes,
    ClientValidation,
    Frontend,
    Gateway,
    GatewayAddress,
    GatewayClass,
    GatewayListener,
    GatewaySpec,
    Infrastructure,
    ListenerSet,
    ListenerSetSpec,
    ListenerTls,
    RouteKind,
)
from .grpcroute import GrpcMethodMatch, GrpcRoute, GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec
from .httproute import (
    HttpPathMatch,
    HttpRetry,
    HttpRoute,
    HttpRouteMatch,
    HttpRouteRule,
    HttpRouteSpec,
    HttpTextMatch,
    HttpTimeouts,
)
from .parameters import PARAMETERS, parse_parameters
from .persistence import CookieConfig, SessionPersistence
from .reference import (
    CONTROLLER,
    GATEWAY_API,
    GROUP,
    Backend,
    BackendObject,
    Namespaces,
    ObjectRef,
    ParentRef,
    Selector,
)
from .streamroute import StreamRouteSpec, StreamRule, TcpRoute, TlsRoute, UdpRoute

KINDS = (
    (GatewayClass, "gatewayclasses"),
    (Gateway, "gateways"),
    (ListenerSet, "listenersets"),
    (HttpRoute, "httproutes"),
    (GrpcRoute, "grpcroutes"),
    (TlsRoute, "tlsroutes"),
    (TcpRoute, "tcproutes"),
    (UdpRoute, "udproutes"),
    (BackendTlsPolicy, "backendtlspolicies"),
)
"""Model and plural, in the order in which they lean on each other."""
PLURALS = {str(model.model_fields["kind"].default): plural for model, plural in KINDS}

__all__ = [name for name in dir() if not name.startswith("_")]
