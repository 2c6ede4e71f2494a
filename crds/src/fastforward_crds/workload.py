"""Workload: a part of the data plane: how many pods, how large, what it leans on; which stages and adapters run
elsewhere; or how messages go to a target.

In: a Workload document. Out: `Workload`. Called by parse and by the compiler's translate/workload.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .durations import Period
from .formats import KEY, Address, Label, Name
from .lists import Items
from .meta import Model, Port, Ref, Resource, Rule
from .pods import Replicas, Resources


class SecretKey(Model):
    """One key of a Secret of the namespace in which the pods run, which is the operator's."""

    name: Name
    """Name of the Secret. For a Workload of another namespace, the Secret's annotation
    `gateway.fastforward.dev/workloads` must name that: `shop/decision`, or `shop/*` for all of its namespace. The
    operator's own Secrets are for no Workload.
    """
    key: Annotated[str, KEY]
    """Key in its data."""


class Redis(Model):
    """A Redis that counts for all replicas."""

    host: Address
    """Host name or address."""
    port: Port = 6379
    """TCP port."""
    tls: bool = False
    """Whether it is reached over TLS."""
    username: Label | None = None
    """User, where it has several."""
    password: SecretKey | None = None
    """Where the password is."""


AUTHORITY_NEEDS_TLS = Rule(
    "self.tls || !has(self.authority)",
    "Only over TLS is there an authority.",
    "authority",
    lambda s: s.tls or s.authority is None,
)


class PostgreSQL(Model):
    """A PostgreSQL that remembers what messages came to, and keeps events until they are delivered."""

    host: Address
    """Host name or address."""
    port: Port = 5432
    """TCP port."""
    database: Annotated[str, KEY]
    """Database; the tables `ff_once` and `ff_outbox` in it are made where they are not there."""
    tls: bool = False
    """Whether it is reached over TLS, and proves who it is."""
    authority: SecretKey | None = None
    """Certificates (PEM) of who has signed its own; with `tls`. By default those that the system knows."""
    username: Label | None = None
    """User."""
    password: SecretKey | None = None
    """Where the password is."""

    rules_cel = (AUTHORITY_NEEDS_TLS,)


class RabbitMQ(Model):
    """A RabbitMQ that takes commands."""

    host: Address
    """Host name or address."""
    port: Port = 5672
    """TCP port; over TLS it is often 5671."""
    virtual_host: Annotated[str, KEY] | None = None
    """Virtual host; by default `/`."""
    tls: bool = False
    """Whether it is reached over TLS, and proves who it is."""
    authority: SecretKey | None = None
    """Certificates (PEM) of who has signed its own; with `tls`. By default those that the system knows."""
    username: Label | None = None
    """User, who may write to the queues `ff.*`, and make them."""
    password: SecretKey | None = None
    """Where the password is."""

    rules_cel = (AUTHORITY_NEEDS_TLS,)


class Resilience(Model):
    """How calls go (Shield): a bound on their time, tries, and how many there are at once."""

    timeout: Period = "2s"
    """Bound on one call with all its tries; less where the message's own deadline is nearer."""
    tries: Annotated[int, Field(ge=1, le=10)] = 2
    """Tries in all. A stage changes nothing, so it may be asked again; a message that a target may have, only with its
    idempotency key.
    """
    concurrent: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Calls on their way, from each decision service."""
    queue: Annotated[int, Field(ge=0, le=10_000)] = 256
    """Calls that wait for one of those to end; more are refused with 503."""


class WorkloadSpec(Model):
    """What a Workload says."""

    component: Literal["Decision", "Stages", "Ingress", "Target"] = "Decision"
    """Decision: the service that proxies ask about requests that they can't judge by themselves, and that takes
    messages through all stages. Stages: some of these run elsewhere, for the messages of this namespace's Edges.
    Ingress: some adapters run elsewhere, for the rules of this namespace's Routes. Target: how messages go to an
    Upstream of this namespace.
    """
    stages: Annotated[tuple[Literal["normalization", "routing"], ...], Items(most=2, distinct=True)] = ()
    """With Stages: which ones. Of two Workloads that take the same one, the older has it."""
    adapters: Annotated[tuple[Literal["REST", "GraphQL", "WebSocket", "GRPC"], ...], Items(most=3, distinct=True)] = ()
    """With Ingress: which ones. REST has the rules that send messages. Of two Workloads that take the same one, the
    first by name has it.
    """
    upstream: Ref | None = None
    """With Stages: Upstream with the protocol GRPC that serves fastforward.message.v1.StageService. With Ingress: the
    one that proxies send requests to instead; its protocol is GRPC for the adapter GRPC, and HTTP1 for the others.
    Without one the operator runs pods for it; where it runs none, and until they are there, EntryPoint does the work.
    With Target: the one that messages go to, of which there must be one. Of two Workloads with the same Target, the
    older has it.
    """
    decision: Ref | None = None
    """With Ingress and without an upstream: Workload with the component Decision that takes the messages."""
    resilience: Resilience | None = None
    """With Stages and Target: how calls to it go. Without it, as its defaults say for Stages; to a Target at most 15 s,
    with up to three tries, 256 at once and 256 that wait.
    """
    encoding: Literal["Protobuf", "JSON"] = "Protobuf"
    """With Stages and Target: in which form calls to it travel. JSON is for people who look at what travels, and costs
    time; what JSON can't say, and what is larger than 1 MiB, stays protobuf, as do calls of those that serve no JSON.
    """
    replicas: Replicas = 2
    """Pods."""
    resources: Resources = Resources()
    """What each pod is given."""
    redis: Redis | None = None
    """Counters of exact limits; without it each pod counts what it sees, so that several let through more."""
    postgresql: PostgreSQL | None = None
    """Remembers messages with an idempotency key, instead of Redis or each pod, and keeps events for webhooks."""
    rabbitmq: RabbitMQ | None = None
    """Takes commands; without it they are refused."""
    seal: SecretKey | None = None
    """Private key (JWK, Ed25519) that signs what messages may; without it each pod makes its own."""

    rules_cel = (
        Rule(
            "self.component != 'Decision' || !has(self.upstream)",
            "Decision has no upstream.",
            "upstream",
            lambda s: s.component != "Decision" or s.upstream is None,
        ),
        Rule(
            "self.component != 'Target' || has(self.upstream)",
            "A Target is an upstream.",
            "upstream",
            lambda s: s.component != "Target" or s.upstream is not None,
        ),
        Rule(
            "has(self.decision) == (self.component == 'Ingress' && !has(self.upstream))",
            "Pods with adapters name the Workload that takes their messages, and nothing else does.",
            "decision",
            lambda s: (s.decision is not None) == (s.component == "Ingress" and s.upstream is None),
        ),
        Rule(
            "(self.component == 'Stages') == (has(self.stages) && size(self.stages) > 0)",
            "Stages names them, and nothing else has any.",
            "stages",
            lambda s: (s.component == "Stages") == bool(s.stages),
        ),
        Rule(
            "(self.component == 'Ingress') == (has(self.adapters) && size(self.adapters) > 0)",
            "Ingress names its adapters, and nothing else has any.",
            "adapters",
            lambda s: (s.component == "Ingress") == bool(s.adapters),
        ),
        Rule(
            "!has(self.adapters) || !('GRPC' in self.adapters) || size(self.adapters) == 1",
            "Requests for GRPC come in HTTP/2 and those for the others in HTTP/1.1: it needs a Workload of its own.",
            "adapters",
            lambda s: "GRPC" not in s.adapters or len(s.adapters) == 1,
        ),
        Rule(
            "self.component in ['Stages', 'Target'] || (!has(self.resilience) && self.encoding == 'Protobuf')",
            "Only calls of Stages and Target are told how to go.",
            "component",
            lambda s: s.component in {"Stages", "Target"} or (s.resilience is None and s.encoding == "Protobuf"),
        ),
        Rule(
            "self.component == 'Decision' || !has(self.redis)",
            "Only Decision counts in Redis.",
            "redis",
            lambda s: s.component == "Decision" or s.redis is None,
        ),
        Rule(
            "self.component == 'Decision' || (!has(self.postgresql) && !has(self.rabbitmq) && !has(self.seal))",
            "Only Decision remembers, takes commands and signs.",
            "component",
            lambda s: s.component == "Decision" or (s.postgresql is None and s.rabbitmq is None and s.seal is None),
        ),
        Rule(
            "!has(self.rabbitmq) || has(self.seal)",
            "Commands are signed with a key that their consumers can know.",
            "seal",
            lambda s: s.rabbitmq is None or s.seal is not None,
        ),
    )


class Workload(Resource):
    """A part of the data plane that the operator runs as pods."""

    kind: Literal["Workload"] = "Workload"
    spec: WorkloadSpec
