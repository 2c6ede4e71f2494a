"""Envoy's generated messages, by module, as Envoy's own documentation names them.

Called by every module beside this one. Why it exists: the published package carries no type information, so its
modules are declared `Any` here, once.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from envoy.config.accesslog.v3 import accesslog_pb2 as _accesslog_pb2
from envoy.config.bootstrap.v3 import bootstrap_pb2 as _bootstrap_pb2
from envoy.config.cluster.v3 import circuit_breaker_pb2 as _circuit_breaker_pb2
from envoy.config.cluster.v3 import cluster_pb2 as _cluster_pb2
from envoy.config.cluster.v3 import outlier_detection_pb2 as _outlier_detection_pb2
from envoy.config.common.mutation_rules.v3 import mutation_rules_pb2 as _mutation_rules_pb2
from envoy.config.core.v3 import address_pb2 as _address_pb2
from envoy.config.core.v3 import backoff_pb2 as _backoff_pb2
from envoy.config.core.v3 import base_pb2 as _base_pb2
from envoy.config.core.v3 import config_source_pb2 as _config_source_pb2
from envoy.config.core.v3 import extension_pb2 as _extension_pb2
from envoy.config.core.v3 import grpc_service_pb2 as _grpc_service_pb2
from envoy.config.core.v3 import health_check_pb2 as _health_check_pb2
from envoy.config.core.v3 import http_uri_pb2 as _http_uri_pb2
from envoy.config.core.v3 import protocol_pb2 as _protocol_pb2
from envoy.config.core.v3 import proxy_protocol_pb2 as _proxy_protocol_config_pb2
from envoy.config.core.v3 import substitution_format_string_pb2 as _substitution_format_string_pb2
from envoy.config.core.v3 import udp_socket_config_pb2 as _udp_socket_config_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2 as _endpoint_components_pb2
from envoy.config.endpoint.v3 import endpoint_pb2 as _endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2 as _listener_components_pb2
from envoy.config.listener.v3 import listener_pb2 as _listener_pb2
from envoy.config.listener.v3 import quic_config_pb2 as _quic_config_pb2
from envoy.config.overload.v3 import overload_pb2 as _overload_pb2
from envoy.config.rbac.v3 import rbac_pb2 as _rbac_pb2
from envoy.config.route.v3 import route_components_pb2 as _route_components_pb2
from envoy.config.route.v3 import route_pb2 as _route_pb2
from envoy.config.route.v3 import scoped_route_pb2 as _scoped_route_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2 as _file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2 as _cel_pb2
from envoy.extensions.clusters.aggregate.v3 import cluster_pb2 as _aggregate_pb2
from envoy.extensions.clusters.common.dns.v3 import dns_pb2 as _dns_pb2
from envoy.extensions.clusters.dns.v3 import dns_cluster_pb2 as _dns_cluster_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2 as _extension_matcher_pb2
from envoy.extensions.common.ratelimit.v3 import ratelimit_pb2 as _ratelimit_pb2
from envoy.extensions.compression.brotli.compressor.v3 import brotli_pb2 as _brotli_pb2
from envoy.extensions.compression.gzip.compressor.v3 import gzip_pb2 as _gzip_pb2
from envoy.extensions.compression.zstd.compressor.v3 import zstd_pb2 as _zstd_pb2
from envoy.extensions.filters.common.fault.v3 import fault_pb2 as _fault_common_pb2
from envoy.extensions.filters.common.matcher.action.v3 import skip_action_pb2 as _skip_action_pb2
from envoy.extensions.filters.http.adaptive_concurrency.v3 import adaptive_concurrency_pb2 as _adaptive_concurrency_pb2
from envoy.extensions.filters.http.buffer.v3 import buffer_pb2 as _buffer_pb2
from envoy.extensions.filters.http.compressor.v3 import compressor_pb2 as _compressor_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2 as _cors_pb2
from envoy.extensions.filters.http.csrf.v3 import csrf_pb2 as _csrf_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as _ext_authz_pb2
from envoy.extensions.filters.http.fault.v3 import fault_pb2 as _fault_pb2
from envoy.extensions.filters.http.grpc_json_transcoder.v3 import transcoder_pb2 as _transcoder_pb2
from envoy.extensions.filters.http.grpc_web.v3 import grpc_web_pb2 as _grpc_web_pb2
from envoy.extensions.filters.http.header_mutation.v3 import header_mutation_pb2 as _header_mutation_pb2
from envoy.extensions.filters.http.jwt_authn.v3 import config_pb2 as _jwt_authn_pb2
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2 as _local_rate_limit_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2 as _lua_pb2
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as _http_rbac_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2 as _router_pb2
from envoy.extensions.filters.listener.proxy_protocol.v3 import proxy_protocol_pb2 as _proxy_protocol_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2 as _tls_inspector_pb2
from envoy.extensions.filters.network.connection_limit.v3 import connection_limit_pb2 as _connection_limit_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import (
    http_connection_manager_pb2 as _http_connection_manager_pb2,
)
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2 as _tcp_proxy_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2 as _udp_route_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import udp_proxy_pb2 as _udp_proxy_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    header_mutation_pb2 as _early_header_mutation_pb2,
)
from envoy.extensions.load_balancing_policies.common.v3 import common_pb2 as _lb_common_pb2
from envoy.extensions.load_balancing_policies.least_request.v3 import least_request_pb2 as _least_request_pb2
from envoy.extensions.load_balancing_policies.random.v3 import random_pb2 as _random_pb2
from envoy.extensions.load_balancing_policies.round_robin.v3 import round_robin_pb2 as _round_robin_pb2
from envoy.extensions.load_balancing_policies.subset.v3 import subset_pb2 as _subset_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2 as _network_inputs_pb2
from envoy.extensions.matching.input_matchers.consistent_hashing.v3 import (
    consistent_hashing_pb2 as _consistent_hashing_pb2,
)
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2 as _cares_dns_resolver_pb2
from envoy.extensions.resource_monitors.downstream_connections.v3 import (
    downstream_connections_pb2 as _downstream_connections_pb2,
)
from envoy.extensions.retry.host.previous_hosts.v3 import previous_hosts_pb2 as _previous_hosts_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import (
    upstream_proxy_protocol_pb2 as _upstream_proxy_protocol_pb2,
)
from envoy.extensions.transport_sockets.quic.v3 import quic_transport_pb2 as _quic_transport_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2 as _raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2 as _tls_common_pb2
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2 as _secret_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2 as _tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as _http_protocol_options_pb2
from envoy.service.discovery.v3 import discovery_pb2 as _discovery_pb2
from envoy.type.matcher.v3 import http_inputs_pb2 as _http_inputs_pb2
from envoy.type.matcher.v3 import metadata_pb2 as _metadata_matcher_pb2
from envoy.type.matcher.v3 import regex_pb2 as _regex_pb2
from envoy.type.matcher.v3 import string_pb2 as _string_pb2
from envoy.type.matcher.v3 import value_pb2 as _value_pb2
from envoy.type.metadata.v3 import metadata_pb2 as _metadata_key_pb2
from envoy.type.v3 import http_status_pb2 as _http_status_pb2
from envoy.type.v3 import percent_pb2 as _percent_pb2
from envoy.type.v3 import range_pb2 as _range_pb2
from envoy.type.v3 import token_bucket_pb2 as _token_bucket_pb2
from xds.core.v3 import extension_pb2 as _xds_extension_pb2
from xds.type.matcher.v3 import ip_pb2 as _xds_ip_pb2
from xds.type.matcher.v3 import matcher_pb2 as _matcher_pb2
from xds.type.matcher.v3 import regex_pb2 as _xds_regex_pb2
from xds.type.matcher.v3 import string_pb2 as _xds_string_pb2
from xds.type.v3 import typed_struct_pb2 as _typed_struct_pb2

EnvoyMessage: TypeAlias = Any
"""A message of Envoy's API."""

accesslog_pb2: Any = _accesslog_pb2
aggregate_pb2: Any = _aggregate_pb2
address_pb2: Any = _address_pb2
backoff_pb2: Any = _backoff_pb2
base_pb2: Any = _base_pb2
bootstrap_pb2: Any = _bootstrap_pb2
brotli_pb2: Any = _brotli_pb2
buffer_pb2: Any = _buffer_pb2
cares_dns_resolver_pb2: Any = _cares_dns_resolver_pb2
cel_pb2: Any = _cel_pb2
circuit_breaker_pb2: Any = _circuit_breaker_pb2
cluster_pb2: Any = _cluster_pb2
adaptive_concurrency_pb2: Any = _adaptive_concurrency_pb2
compressor_pb2: Any = _compressor_pb2
config_source_pb2: Any = _config_source_pb2
connection_limit_pb2: Any = _connection_limit_pb2
consistent_hashing_pb2: Any = _consistent_hashing_pb2
cors_pb2: Any = _cors_pb2
csrf_pb2: Any = _csrf_pb2
discovery_pb2: Any = _discovery_pb2
dns_cluster_pb2: Any = _dns_cluster_pb2
dns_pb2: Any = _dns_pb2
downstream_connections_pb2: Any = _downstream_connections_pb2
early_header_mutation_pb2: Any = _early_header_mutation_pb2
endpoint_components_pb2: Any = _endpoint_components_pb2
endpoint_pb2: Any = _endpoint_pb2
ext_authz_pb2: Any = _ext_authz_pb2
extension_matcher_pb2: Any = _extension_matcher_pb2
extension_pb2: Any = _extension_pb2
fault_common_pb2: Any = _fault_common_pb2
fault_pb2: Any = _fault_pb2
file_pb2: Any = _file_pb2
grpc_service_pb2: Any = _grpc_service_pb2
grpc_web_pb2: Any = _grpc_web_pb2
gzip_pb2: Any = _gzip_pb2
header_mutation_pb2: Any = _header_mutation_pb2
health_check_pb2: Any = _health_check_pb2
http_connection_manager_pb2: Any = _http_connection_manager_pb2
http_inputs_pb2: Any = _http_inputs_pb2
http_protocol_options_pb2: Any = _http_protocol_options_pb2
http_rbac_pb2: Any = _http_rbac_pb2
http_status_pb2: Any = _http_status_pb2
http_uri_pb2: Any = _http_uri_pb2
jwt_authn_pb2: Any = _jwt_authn_pb2
listener_components_pb2: Any = _listener_components_pb2
listener_pb2: Any = _listener_pb2
local_rate_limit_pb2: Any = _local_rate_limit_pb2
lua_pb2: Any = _lua_pb2
metadata_key_pb2: Any = _metadata_key_pb2
metadata_matcher_pb2: Any = _metadata_matcher_pb2
mutation_rules_pb2: Any = _mutation_rules_pb2
network_inputs_pb2: Any = _network_inputs_pb2
outlier_detection_pb2: Any = _outlier_detection_pb2
overload_pb2: Any = _overload_pb2
percent_pb2: Any = _percent_pb2
previous_hosts_pb2: Any = _previous_hosts_pb2
protocol_pb2: Any = _protocol_pb2
proxy_protocol_config_pb2: Any = _proxy_protocol_config_pb2
proxy_protocol_pb2: Any = _proxy_protocol_pb2
quic_config_pb2: Any = _quic_config_pb2
quic_transport_pb2: Any = _quic_transport_pb2
range_pb2: Any = _range_pb2
ratelimit_pb2: Any = _ratelimit_pb2
raw_buffer_pb2: Any = _raw_buffer_pb2
rbac_pb2: Any = _rbac_pb2
regex_pb2: Any = _regex_pb2
route_components_pb2: Any = _route_components_pb2
route_pb2: Any = _route_pb2
router_pb2: Any = _router_pb2
scoped_route_pb2: Any = _scoped_route_pb2
secret_pb2: Any = _secret_pb2
skip_action_pb2: Any = _skip_action_pb2
string_pb2: Any = _string_pb2
substitution_format_string_pb2: Any = _substitution_format_string_pb2
tcp_proxy_pb2: Any = _tcp_proxy_pb2
tls_common_pb2: Any = _tls_common_pb2
tls_inspector_pb2: Any = _tls_inspector_pb2
tls_pb2: Any = _tls_pb2
token_bucket_pb2: Any = _token_bucket_pb2
transcoder_pb2: Any = _transcoder_pb2
udp_proxy_pb2: Any = _udp_proxy_pb2
udp_route_pb2: Any = _udp_route_pb2
udp_socket_config_pb2: Any = _udp_socket_config_pb2
upstream_proxy_protocol_pb2: Any = _upstream_proxy_protocol_pb2
value_pb2: Any = _value_pb2
typed_struct_pb2: Any = _typed_struct_pb2
xds_extension_pb2: Any = _xds_extension_pb2
xds_ip_pb2: Any = _xds_ip_pb2
xds_matcher_pb2: Any = _matcher_pb2
xds_regex_pb2: Any = _xds_regex_pb2
xds_string_pb2: Any = _xds_string_pb2
zstd_pb2: Any = _zstd_pb2
lb_common_pb2: Any = _lb_common_pb2
least_request_pb2: Any = _least_request_pb2
random_pb2: Any = _random_pb2
round_robin_pb2: Any = _round_robin_pb2
subset_pb2: Any = _subset_pb2
