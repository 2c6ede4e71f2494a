"""What the operator is told from outside.

In: environment variables with the prefix FF_, or arguments. Out: one frozen object. Called by __main__ and by tests;
no other module reads the environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .addresses import read_pool


class Settings(BaseSettings):
    """Settings of the operator. Lists are separated by `:` in the environment, as in PATH."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="FF_", env_ignore_empty=True)

    provider: Literal["file", "kubernetes"] = "file"
    """Where resources come from."""
    directories: Annotated[tuple[Path, ...], NoDecode] = ()
    """Directories, or single files, of resources; at least one with the provider `file`."""
    namespaces: Annotated[tuple[str, ...], NoDecode] = ()
    """Namespaces to watch, with the provider `kubernetes`; all when empty."""
    secrets: Literal["labelled", "all"] = "labelled"
    """Which Secrets and ConfigMaps are read, with the provider `kubernetes`: those labelled
    `gateway.fastforward.dev/use: "true"`, or all.
    """
    gateway_addresses: str = ""
    """Addresses that Gateways are given, one each: a network (`192.0.2.0/24`) or a range (`192.0.2.10-192.0.2.99`).
    When empty, Gateways listen wherever the proxy may.
    """
    lease_namespace: str = "fastforward-system"
    """Namespace of the Lease by which operators choose the one that writes statuses."""
    kubeconfig: Path | None = None
    """Which API server, and as whom; the service account of the pod when absent."""
    state_dir: Path = Path(".fastforward")
    """Where last good versions, the xDS socket and status files are kept; readable by this user only."""
    xds_address: str = ""
    """`HOST:PORT` or `unix:PATH`; a socket in the state folder when empty. Only trusted peers may reach it."""
    xds_tls: bool = False
    """Whether nodes must prove who they are, by certificates of the authority in the Secret `fastforward-ca` of
    FF_LEASE_NAMESPACE; a proxy is then told of its own Edge only. With the provider `kubernetes`."""
    xds_names: Annotated[tuple[str, ...], NoDecode] = ()
    """DNS names by which nodes reach the operator, for its certificate; parted by commas."""
    probe_address: str = ""
    """`HOST:PORT` where only /healthz, /readyz and /metrics are answered, to anybody; nowhere when empty."""
    envoy_image: str = ""
    """Image of the Envoys that the operator runs for Edges, as pods in FF_LEASE_NAMESPACE; when empty it runs none."""
    decision_image: str = ""
    """Image of the decision services that it runs for Workloads, and of the companions of Envoys."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: Annotated[tuple[str, ...], NoDecode] = ()
    """Secrets for the registry; parted by commas."""
    replica_address: str = ""
    """`HOST:PORT` of FF_XDS_ADDRESS as other replicas reach it: by it they tell the one that leads what their proxies
    acknowledged. Needed where several run, with FF_XDS_TLS."""
    operator_service: str = "fastforward-operator"
    """Service by which pods reach the operator."""
    decision: str = ""
    """NAMESPACE/NAME of the Workload that decides for Edges that name none."""
    decision_otlp_endpoint: str = ""
    """Base URL of the OpenTelemetry collector that decision services tell of traces, as pods; none when empty."""
    webhook_address: str = ""
    """`HOST:PORT` where the API server asks for admission; nowhere when empty. With the provider `kubernetes`."""
    webhook_configuration: str = "fastforward"
    """ValidatingWebhookConfiguration in which the leader keeps the authority's bundle."""
    webhook_names: Annotated[tuple[str, ...], NoDecode] = ()
    """DNS names and addresses of the webhook besides those of its Service; parted by commas."""
    webhook_client_ca: Path | None = None
    """Authority of the certificate that the API server shows, PEM; what it tells extensions itself when absent."""
    webhook_client_name: str = "kube-apiserver"
    """Common name, DNS name or URI in that certificate."""
    webhook_anybody: bool = False
    """Whether callers are answered who show no certificate: for API servers that show none."""
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=9080, ge=0, le=65535)
    """0 for a free one, which the log names."""
    api_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that the API goes by, besides localhost and its address; parted by commas."""
    bind_address: str = "0.0.0.0"  # noqa: S104 - the proxy serves the world
    """Address that the proxy's listeners bind; several are parted by commas."""
    ports: Annotated[dict[int, int], NoDecode] = Field(default_factory=dict)
    """Ports to bind instead of those that Edges name, as JSON: {"80": 8080}."""
    front_addresses: Annotated[tuple[str, ...], NoDecode] = ()
    """Networks of the Traefik in front, instead of those that Edges name; parted by commas."""
    access_log: str = "/dev/stdout"
    """File of the proxy's access log."""
    decision_timeout_ms: int = Field(default=500, ge=1, le=60_000)
    removal_grace_s: float = Field(default=2.0, ge=0.0, le=300.0)
    """How long what nobody names any more is kept for requests on their way."""
    settle_s: float = Field(default=0.02, ge=0.0, le=1.0)
    """How long after the last acknowledgement an object is said to be programmed."""
    write_status: bool = True
    """Whether a file with the status of each object is kept in the state folder."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"

    @field_validator("directories", "namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part for part in value.split(":") if part) if isinstance(value, str) else value

    @field_validator("api_hosts", "front_addresses", "xds_names", "image_pull_secrets", "webhook_names", mode="before")
    @classmethod
    def _part(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("ports", mode="before")
    @classmethod
    def _parse(cls, value: object) -> object:
        return json.loads(value) if isinstance(value, str) else value

    @field_validator("gateway_addresses")
    @classmethod
    def _is_pool(cls, value: str) -> str:
        read_pool(value)
        return value

    @model_validator(mode="after")
    def _names_resources(self) -> Self:
        if self.provider == "file" and not self.directories:
            raise ValueError("FF_DIRECTORIES: name a directory of resources, or set FF_PROVIDER=kubernetes")
        return self

    @model_validator(mode="after")
    def _proves(self) -> Self:
        if self.xds_tls and self.provider != "kubernetes":
            raise ValueError("FF_XDS_TLS: certificates are made with FF_PROVIDER=kubernetes only")
        if self.envoy_image and not self.xds_tls:
            raise ValueError("FF_ENVOY_IMAGE: pods prove who they are, so set FF_XDS_TLS=true")
        if self.envoy_image and not self.decision_image:
            raise ValueError("FF_DECISION_IMAGE: name the image beside FF_ENVOY_IMAGE")
        if self.xds_tls and not self.xds_address:
            raise ValueError("FF_XDS_TLS: name in FF_XDS_ADDRESS where nodes reach the operator, as HOST:PORT")
        return self

    @model_validator(mode="after")
    def _admits(self) -> Self:
        if self.webhook_address and self.provider != "kubernetes":
            raise ValueError("FF_WEBHOOK_ADDRESS: an API server asks only with FF_PROVIDER=kubernetes")
        return self

    @field_validator("probe_address", "webhook_address")
    @classmethod
    def _has_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if value and not (host and port.isdigit() and int(port) <= 65535):
            raise ValueError("an address is HOST:PORT")
        return value

    @property
    def xds_target(self) -> str:
        """The address in force."""
        return self.xds_address or f"unix:{self.state_dir.absolute() / 'xds.sock'}"


def quiet_grpc() -> None:
    """Keeps what gRPC tells of connections off standard error, where lines are records, unless somebody wants it."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
