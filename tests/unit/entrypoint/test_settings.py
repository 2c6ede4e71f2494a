"""EntryPoint's settings, from the environment: what is accepted, and the sentence for each mistake."""

from pathlib import Path

import pytest
from fastforward_entrypoint.settings import PREFIX, Settings, worker_environment
from fastforward_kit.settings import explain_invalid
from pydantic import ValidationError


@pytest.fixture(autouse=True)
def _needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FF_ENTRYPOINT_LISTEN", "unix:/run/ff/decision.sock")
    monkeypatch.setenv("FF_ENTRYPOINT_OPERATOR", "unix:/run/ff/operator.sock")


def load() -> Settings:
    return Settings.model_validate({})


def mistake() -> str:
    with pytest.raises(ValidationError) as caught:
        load()
    return explain_invalid(caught.value, PREFIX)


def test_two_settings_suffice() -> None:
    settings = load()
    assert (settings.address.path, settings.workers, settings.redis_url) == (Path("/run/ff/decision.sock"), 1, None)
    assert settings.for_worker() is settings


def test_several_workers_without_redis_are_refused_because_limits_would_not_be_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FF_ENTRYPOINT_WORKERS", "3")
    assert mistake() == (
        "Settings: 3 workers would each count on their own, and exact limits would let through 3 times too much. "
        "Set FF_ENTRYPOINT_REDIS_URL, or FF_ENTRYPOINT_WORKERS=1."
    )
    monkeypatch.setenv("FF_ENTRYPOINT_REDIS_URL", "redis://redis:6379/0")
    assert load().workers == 3


def test_a_password_in_the_environment_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FF_ENTRYPOINT_REDIS_URL", "redis://user:hunter2@redis:6379/0")
    assert "FF_ENTRYPOINT_REDIS_PASSWORD_FILE" in mistake()
    assert "hunter2" not in mistake()


def test_commands_need_a_key_that_their_consumers_can_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FF_ENTRYPOINT_RABBITMQ_URL", "amqps://rabbit/shop?cafile=/run/ca.crt")
    assert mistake().endswith("Set FF_ENTRYPOINT_SEAL_KEY_FILE.")
    monkeypatch.setenv("FF_ENTRYPOINT_SEAL_KEY_FILE", "/run/ff/seal.json")
    assert load().rabbitmq_deadline_seconds == 5.0


def test_rabbitmq_can_not_be_believed_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FF_ENTRYPOINT_SEAL_KEY_FILE", "/run/ff/seal.json")
    monkeypatch.setenv("FF_ENTRYPOINT_RABBITMQ_URL", "amqps://rabbit/shop?no_verify_ssl=1")
    assert "has to prove it" in mistake()


def test_the_redis_password_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load().redis_password() is None
    (tmp_path / "password").write_text("hunter2\n")
    monkeypatch.setenv("FF_ENTRYPOINT_REDIS_PASSWORD_FILE", str(tmp_path / "password"))
    assert load().redis_password() == "hunter2"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LISTEN", "decision.sock", "unix:PATH or HOST:PORT"),
        ("LISTEN", "unix:decision.sock", "absolute path"),
        ("REDIS_URL", "http://redis", "redis://, rediss:// or unix://"),
        ("RABBITMQ_URL", "http://rabbit", "amqp:// or amqps://"),
        ("RABBITMQ_URL", "amqp://u:hunter2@rabbit", "FF_ENTRYPOINT_RABBITMQ_PASSWORD_FILE"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("HEALTH_PORT", "http", "valid integer"),
        ("OTLP_ENDPOINT", "collector:4318", "http:// or https://"),
        ("OTLP_ENDPOINT", "http://user:hunter2@collector:4318", "no password"),
        ("OTLP_SHARE", "1.5", "less than or equal to 1"),
    ],
)
def test_a_mistake_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    assert mistake().startswith(f"{PREFIX}{name}: ")
    assert said in mistake()


def test_a_collector_is_found_by_the_variable_that_everybody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert load().otlp_endpoint is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://far:4318")
    assert load().otlp_endpoint == "http://far:4318"
    monkeypatch.setenv("FF_ENTRYPOINT_OTLP_ENDPOINT", "http://near:4318")
    assert load().otlp_endpoint == "http://near:4318"
    monkeypatch.setenv("FF_ENTRYPOINT_OTLP_ENDPOINT", "")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "far:4318")
    assert mistake().startswith("FF_ENTRYPOINT_OTLP_ENDPOINT: ")


def test_each_worker_has_a_name_a_folder_and_a_port_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "WORKERS": "2",
        "REDIS_URL": "redis://r",
        "NODE": "n",
        "STATE_DIR": "/s",
        "HEALTH_PORT": "9",
    }.items():
        monkeypatch.setenv(PREFIX + name, value)
    for name, value in worker_environment(2, socket=5, lifeline=6).items():
        monkeypatch.setenv(name, value)
    worker = load().for_worker()
    assert (worker.node, worker.state_dir, worker.health_port) == ("n/2", Path("/s/worker-2"), 10)
    assert (worker.worker_socket, worker.worker_lifeline) == (5, 6)


@pytest.mark.parametrize(
    ("address", "second"), [("unix:/run/ff/inside.sock", None), ("127.0.0.1:9445", "127.0.0.1:9445"), ("", None)]
)
def test_of_several_workers_all_listen_for_workloads_unless_at_a_unix_socket(
    monkeypatch: pytest.MonkeyPatch, address: str, second: str | None
) -> None:
    own = {"INTERNAL_LISTEN": address, "STAGES_LISTEN": address} if address else {}
    for name, value in {"WORKERS": "2", "REDIS_URL": "redis://redis:6379/0", **own}.items():
        monkeypatch.setenv(PREFIX + name, value)
    listens = []
    for worker in ("1", "2"):
        monkeypatch.setenv(PREFIX + "WORKER", worker)
        own_settings = load().for_worker()
        listens.append((own_settings.internal_listen, own_settings.stages_listen))
    assert listens == [(address or None,) * 2, (second,) * 2]


def test_an_internal_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FF_ENTRYPOINT_INTERNAL_LISTEN", "here")
    assert mistake().startswith("FF_ENTRYPOINT_INTERNAL_LISTEN: an address is")
