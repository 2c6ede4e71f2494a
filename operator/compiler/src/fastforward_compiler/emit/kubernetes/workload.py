"""A Workload to its pods, which others find by the addresses of a Service without one: the decision service, stages of
messages, or adapters. All are the same program, told apart by its settings.

In: ir.Workload, PodSettings. Out: documents. Called by the operator.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastforward_compiler import ir

from .names import Names
from .pod import (
    Document,
    container_security,
    deployment,
    disruption_budget,
    folder,
    from_field,
    http_get,
    resources,
    secret_mount,
    secret_volume,
    service_account,
    tls_mount,
    tls_volume,
)
from .settings import ANYWHERE, DECISION_PORT, PROBE_PORT, TLS_FOLDER, PodSettings

COMPONENTS = ("Decision", "Stages", "Ingress")
_PORTS = {
    "Decision": (("decisions", DECISION_PORT), ("messages", ir.EXCHANGE_PORT)),
    "Stages": (("stages", ir.STAGES_PORT),),
    "Ingress": (("requests", ir.REQUESTS_PORT),),
}
"""By component: what others come for."""
_STATE = "/var/lib/fastforward"
_REQUESTS = {"cpu": "100m", "memory": "128Mi"}
_LINGER_S = 3
"""How long one that ends goes on until no proxy looks its address up any more."""


def workload_names(workload: str, component: str = "Decision") -> Names:
    """Names of what is made for a Workload."""
    return Names(component=component.lower(), owner=workload)


def emit_workload(workload: ir.Workload, settings: PodSettings) -> list[Document]:
    """Returns the objects, in the order in which they are applied."""
    names = workload_names(workload.name, workload.component)
    pod: Document = {
        "terminationGracePeriodSeconds": 30,
        "containers": [_container(workload, names, settings)],
        "volumes": [tls_volume(names), folder("state", "256Mi"), folder("tmp", "16Mi", memory=True)],
    }
    if workload.redis is not None and workload.redis.password[0]:
        pod["volumes"].append({"name": "redis", "secret": {"secretName": workload.redis.password[0]}})
    pod["volumes"].extend(secret_volume(name, secret) for name, secret in _secrets(workload).items())
    found = [
        service_account(names, settings),
        deployment(names, settings, workload.pods, pod),
        _service(workload, names, settings),
    ]
    if workload.pods.replicas > 1:
        found.append(disruption_budget(names, settings))
    return found


def secrets_of(workload: ir.Workload) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yields the field that names each Secret of the pods' namespace, with its name and key."""
    stores = {
        "redis": {"password": workload.redis.password} if workload.redis is not None else {},
        "postgresql": _secrets_of_store(workload.postgresql),
        "rabbitmq": _secrets_of_store(workload.rabbitmq),
    }
    for store, secrets in stores.items():
        for field, secret in secrets.items():
            if secret[0]:
                yield f"spec.{store}.{field}", secret
    if workload.seal[0]:
        yield "spec.seal", workload.seal


def stores_of(workload: ir.Workload) -> dict[str, str]:
    """Returns the variables of its pods that say which files of Secrets they read, and where they send that."""
    found = {**_redis(workload.redis), **_postgresql(workload.postgresql), **_rabbitmq(workload.rabbitmq)}
    if workload.seal[0]:
        found["FF_ENTRYPOINT_SEAL_KEY_FILE"] = _file("seal", workload.seal)
    return found


def _secrets_of_store(store: ir.Store | None) -> dict[str, tuple[str, str]]:
    return {"password": store.password, "authority": store.authority} if store is not None else {}


def _container(workload: ir.Workload, names: Names, settings: PodSettings) -> Document:
    variables = {
        "FF_ENTRYPOINT_LISTEN": f"{ANYWHERE}:{DECISION_PORT}",
        "FF_ENTRYPOINT_OPERATOR": f"{settings.operator_name}:{settings.operator_port}",
        "FF_ENTRYPOINT_TLS_DIR": TLS_FOLDER,
        "FF_ENTRYPOINT_STATE_DIR": _STATE,
        "FF_ENTRYPOINT_HEALTH_HOST": ANYWHERE,
        "FF_ENTRYPOINT_HEALTH_PORT": str(PROBE_PORT),
        **_role(workload, settings),
        **stores_of(workload),
    }
    if settings.otlp_endpoint:
        variables["FF_ENTRYPOINT_OTLP_ENDPOINT"] = settings.otlp_endpoint
    mounts = [tls_mount(), {"name": "state", "mountPath": _STATE}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    if "FF_ENTRYPOINT_REDIS_PASSWORD_FILE" in variables:
        mounts.append(secret_mount("redis"))
    mounts.extend(map(secret_mount, _secrets(workload)))
    return {
        "name": names.component,
        "image": settings.decision_image,
        "imagePullPolicy": settings.pull_policy,
        "env": [
            from_field("FF_ENTRYPOINT_NODE", "metadata.name"),
            *({"name": name, "value": value} for name, value in variables.items()),
        ],
        "ports": [
            *({"name": name, "containerPort": port, "protocol": "TCP"} for name, port in _PORTS[workload.component]),
            {"name": "probes", "containerPort": PROBE_PORT, "protocol": "TCP"},
        ],
        "resources": resources(workload.pods, _REQUESTS),
        "securityContext": container_security(),
        "startupProbe": http_get("/healthz", periodSeconds=1, failureThreshold=60),
        "readinessProbe": http_get("/readyz", periodSeconds=1, failureThreshold=2, timeoutSeconds=2),
        "livenessProbe": http_get("/healthz", periodSeconds=5, failureThreshold=3, timeoutSeconds=5),
        "lifecycle": {"preStop": {"sleep": {"seconds": _LINGER_S}}},
        "volumeMounts": mounts,
    }


def _role(workload: ir.Workload, settings: PodSettings) -> dict[str, str]:
    """What makes a decision service, stages or adapters of it."""
    match workload.component:
        case "Stages":
            return {"FF_ENTRYPOINT_STAGES_LISTEN": f"{ANYWHERE}:{ir.STAGES_PORT}"}
        case "Ingress":
            host = f"{workload_names(workload.decision).base}.{settings.namespace}.svc"
            return {"FF_ENTRYPOINT_EXCHANGE": f"dns:///{host}:{ir.EXCHANGE_PORT}"}
        case _:
            return {"FF_ENTRYPOINT_INTERNAL_LISTEN": f"{ANYWHERE}:{ir.EXCHANGE_PORT}"}


def _redis(redis: ir.Redis | None) -> dict[str, str]:
    if redis is None:
        return {}
    scheme = "rediss" if redis.tls else "redis"
    found = {"FF_ENTRYPOINT_REDIS_URL": f"{scheme}://{redis.host}:{redis.port}/0"}
    if redis.username:
        found["FF_ENTRYPOINT_REDIS_USERNAME"] = redis.username
    if redis.password[0]:
        found["FF_ENTRYPOINT_REDIS_PASSWORD_FILE"] = _file("redis", redis.password)
    return found


def _postgresql(store: ir.Store | None) -> dict[str, str]:
    if store is None:
        return {}
    authority = _file("postgresql-authority", store.authority) if store.authority[0] else "system"
    how = f"sslmode=verify-full&sslrootcert={authority}" if store.tls else "sslmode=disable"
    return _store("POSTGRESQL", f"postgresql://{_at(store)}/{store.part}?{how}", store)


def _rabbitmq(store: ir.Store | None) -> dict[str, str]:
    if store is None:
        return {}
    trusted = f"?cafile={_file('rabbitmq-authority', store.authority)}" if store.authority[0] else ""
    part = f"/{store.part}" if store.part else ""
    return _store("RABBITMQ", f"{'amqps' if store.tls else 'amqp'}://{_at(store)}{part}{trusted}", store)


def _store(name: str, url: str, store: ir.Store) -> dict[str, str]:
    found = {f"FF_ENTRYPOINT_{name}_URL": url}
    if store.username:
        found[f"FF_ENTRYPOINT_{name}_USERNAME"] = store.username
    if store.password[0]:
        found[f"FF_ENTRYPOINT_{name}_PASSWORD_FILE"] = _file(name.lower(), store.password)
    return found


def _at(store: ir.Store) -> str:
    host = f"[{store.host}]" if ":" in store.host else store.host
    return f"{host}:{store.port}"


def _secrets(workload: ir.Workload) -> dict[str, str]:
    """Secrets by the names of their volumes, but for that of Redis."""
    found = {"seal": workload.seal[0]}
    for name, store in (("postgresql", workload.postgresql), ("rabbitmq", workload.rabbitmq)):
        if store is not None:
            found |= {name: store.password[0], f"{name}-authority": store.authority[0]}
    return {name: secret for name, secret in found.items() if secret}


def _file(volume: str, secret: tuple[str, str]) -> str:
    return f"{secret_mount(volume)['mountPath']}/{secret[1]}"


def _service(workload: ir.Workload, names: Names, settings: PodSettings) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.metadata(settings.namespace),
        "spec": {
            # Every address of its own: proxies balance by themselves, and go elsewhere when one does not answer.
            "clusterIP": "None",
            "selector": names.selector,
            "ports": [
                {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}
                for name, port in _PORTS[workload.component]
            ],
        },
    }
