"""EntryPoint's settings: `FF_ENTRYPOINT_*`. The one module that reads the environment, and writes it for workers.

Called by `__main__`. A mistake is a sentence that names the variable.
"""

import os
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from fastforward_kit.http import Address, parse_address
from fastforward_kit.settings import WorkloadSettings
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

PREFIX = "FF_ENTRYPOINT_"
_URLS = {
    "redis_url": ("Redis", ("redis", "rediss", "unix")),
    "postgresql_url": ("PostgreSQL", ("postgres", "postgresql")),
    "rabbitmq_url": ("RabbitMQ", ("amqp", "amqps")),
}
"""What a setting's URL is called, and how it may begin."""


class Settings(WorkloadSettings):
    """What EntryPoint is told from outside."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    listen: str
    """Where Envoy asks for decisions: `unix:PATH` or `HOST:PORT`. Whoever can connect is believed to be Envoy, or with
    TLS_DIR, whoever proves to be a proxy of an Edge."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that decide; more than one needs Redis."""
    redis_url: str | None = None
    """Redis that counts for all workers and replicas: `redis://HOST:PORT/DB`, `rediss://` or `unix://PATH`."""
    redis_username: str | None = None
    redis_password_file: Path | None = None
    """A file that holds the password: the environment is no place for it."""
    redis_deadline_seconds: float = Field(default=0.05, gt=0.0, le=5.0)
    """The longest that a request waits for its counters."""
    postgresql_url: str | None = None
    """PostgreSQL that remembers what messages with an idempotency key came to, rather than Redis or this process, and
    keeps events for webhooks: `postgresql://HOST:PORT/DATABASE?...`."""
    postgresql_username: str | None = None
    postgresql_password_file: Path | None = None
    """A file that holds the password."""
    postgresql_deadline_seconds: float = Field(default=0.5, gt=0.0, le=5.0)
    """The longest that a message waits for it."""
    rabbitmq_url: str | None = None
    """RabbitMQ that takes commands: `amqp://HOST:PORT/VHOST`, or `amqps://`, whose authorities `?cafile=` names, and
    the certificate to show `&certfile=` and `&keyfile=`."""
    rabbitmq_username: str | None = None
    rabbitmq_password_file: Path | None = None
    """A file that holds the password; read again for each connection."""
    rabbitmq_deadline_seconds: float = Field(default=5.0, gt=0.0, le=15.0)
    """The longest that a message waits for RabbitMQ to have taken it."""
    max_local_buckets: int = Field(default=1_000_000, ge=1_000)
    """How many buckets the counters in process keep; the longest unused go first."""
    password_threads: int = Field(default=1, ge=1, le=64)
    """How many passwords are verified at the same time, by each process."""
    seal_key_file: Path | None = None
    """A file with the private key (JWK, Ed25519) that signs what messages may; by default one key a process.
    A process that runs stages for others has the same, and refuses what is not signed with it."""
    stages_listen: str | None = None
    """Where this process runs stages for others (fastforward.message.v1.StageService): `unix:PATH` or `HOST:PORT`.
    Whoever can connect is believed, or over TCP with TLS_DIR, whoever proves to be a workload. Of several workers, the
    first listens at a Unix socket."""
    remembered_messages: int = Field(default=2_000, ge=0, le=100_000)
    """How many messages that have ended this process can tell of; about 1 KiB each."""
    otlp_endpoint: str | None = Field(
        default_factory=lambda: os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or None, validate_default=True
    )
    """Base URL of an OpenTelemetry collector that takes OTLP over HTTP: then messages and their stages are told to it
    as spans. `OTEL_EXPORTER_OTLP_ENDPOINT`, as everybody knows it, where this one is not set."""
    otlp_share: float = Field(default=1.0, ge=0.0, le=1.0)
    """Of the traces that the proxy has begun, which share is told of; of others their callers decide."""
    internal_listen: str | None = None
    """Where workloads reach clients (fastforward.connection.v1.ConnectionService), and adapters elsewhere hand in
    messages (fastforward.message.v1.EntryPointService): `unix:PATH` or `HOST:PORT`. Whoever can connect is believed, or
    over TCP with TLS_DIR, whoever proves to be a workload. Of several workers, the first listens at a Unix socket."""
    exchange: str | None = None
    """The internal address of another EntryPoint: `unix:PATH`, `HOST:PORT` or another gRPC target. Then this process
    has adapters alone: their messages go there, and nothing is decided here."""
    worker: int = Field(default=0, ge=0)
    """Number of this worker, from 1; set by the parent process alone."""
    worker_socket: int | None = None
    """File descriptor of the socket that the workers share; set by the parent process alone."""
    worker_lifeline: int | None = None
    """File descriptor that is closed when the parent process is gone; set by the parent process alone."""

    @field_validator("listen", "internal_listen")
    @classmethod
    def _is_address(cls, text: str | None) -> str | None:
        if text is not None:
            parse_address(text)
        return text

    @field_validator("redis_url", "postgresql_url", "rabbitmq_url")
    @classmethod
    def _has_no_password(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        name, schemes = _URLS[info.field_name or ""]
        if parts.scheme not in schemes:
            told = " or ".join((", ".join(f"{each}://" for each in schemes[:-1]), f"{schemes[-1]}://"))
            raise ValueError(f"a {name} URL starts with {told}")
        if parts.password is not None or "password=" in parts.query:
            variable = f"{PREFIX}{name.upper()}_PASSWORD_FILE"
            raise ValueError(f"put the password into a file and name that file with {variable}")
        if "no_verify_ssl" in parts.query:
            raise ValueError(f"whoever answers in the name of {name} has to prove it: name its authorities by cafile=")
        return url

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_collector(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError("the URL of a collector starts with http:// or https://, and names a host")
        if parts.password is not None or parts.query:
            raise ValueError("the URL of a collector has no password and no query")
        return url

    @model_validator(mode="after")
    def _counts_exactly(self) -> Self:
        if self.workers > 1 and self.redis_url is None:
            raise ValueError(
                f"{self.workers} workers would each count on their own, and exact limits would let through "
                f"{self.workers} times too much. Set {PREFIX}REDIS_URL, or {PREFIX}WORKERS=1"
            )
        return self

    @model_validator(mode="after")
    def _signs_for_consumers(self) -> Self:
        if self.rabbitmq_url is not None and self.seal_key_file is None:
            raise ValueError(
                f"commands are handled later and elsewhere, by whoever knows the key that they are signed with. "
                f"Set {PREFIX}SEAL_KEY_FILE"
            )
        return self

    @property
    def address(self) -> Address:
        """`listen`, parsed."""
        return parse_address(self.listen)

    def redis_password(self) -> str | None:
        """Reads the password. Raises OSError."""
        return _read(self.redis_password_file)

    def postgresql_password(self) -> str | None:
        """Reads the password. Raises OSError."""
        return _read(self.postgresql_password_file)

    def for_worker(self) -> Self:
        """Returns the settings of worker number `worker`: names, folder and port of its own."""
        if not self.worker:
            return self
        return self.model_copy(
            update={
                "node": f"{self.node}/{self.worker}",
                "state_dir": self.state_dir and self.state_dir / f"worker-{self.worker}",
                "health_port": self.health_port and self.health_port + self.worker - 1,
                "internal_listen": self._for_several(self.internal_listen),
                "stages_listen": self._for_several(self.stages_listen),
            }
        )

    def _for_several(self, address: str | None) -> str | None:
        """A port is shared by all workers; a Unix socket can't be."""
        return None if self.worker > 1 and address is not None and address.startswith("unix:") else address


def _read(secret: Path | None) -> str | None:
    return None if secret is None else secret.read_text(encoding="utf-8").strip()


def worker_environment(number: int, *, socket: int, lifeline: int) -> dict[str, str]:
    """Returns the environment of worker `number` of this process."""
    own = {"WORKER": number, "WORKER_SOCKET": socket, "WORKER_LIFELINE": lifeline}
    return {**os.environ, **{PREFIX + name: str(value) for name, value in own.items()}}
