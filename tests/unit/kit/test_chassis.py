"""Settings, logs, health and telemetry of a workload."""

import io
import json
import logging
from pathlib import Path

import pytest
import structlog
from fastforward_kit.health import Health, health_handler
from fastforward_kit.http import Request, Response
from fastforward_kit.logs import configure_logs
from fastforward_kit.settings import WorkloadSettings, explain_invalid
from fastforward_kit.telemetry import Latency, Tally, exposition, new_registry
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict


class Settings(WorkloadSettings):
    model_config = SettingsConfigDict(env_prefix="FF_TRIAL_")


def test_settings_come_from_the_environment_under_the_workloads_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FF_TRIAL_OPERATOR", "unix:/run/operator.sock")
    monkeypatch.setenv("FF_TRIAL_STATE_DIR", "/var/lib/trial")
    monkeypatch.setenv("FF_TRIAL_HEALTH_PORT", "")
    settings = Settings.model_validate({})
    assert (settings.operator, settings.state_dir, settings.health_port) == (
        "unix:/run/operator.sock",
        Path("/var/lib/trial"),
        0,
    )
    assert settings.node


def test_a_mistake_in_the_settings_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FF_TRIAL_OPERATOR", raising=False)
    monkeypatch.setenv("FF_TRIAL_HEALTH_PORT", "70000")
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({})
    assert explain_invalid(caught.value, "FF_TRIAL_").split("\n") == [
        "FF_TRIAL_OPERATOR: Field required.",
        "FF_TRIAL_HEALTH_PORT: Input should be less than or equal to 65535.",
    ]


def logged(style: str, level: str = "info") -> str:
    root = logging.getLogger()
    handlers, before = root.handlers, root.level
    stream = io.StringIO()
    try:
        configure_logs(level=level, style=style, stream=stream)
        structlog.get_logger("ours").info("started", port=8)
        logging.getLogger("theirs").warning("careful, %s", "you")
        structlog.get_logger("ours").debug("detail")
    finally:
        root.handlers = handlers
        root.setLevel(before)
        structlog.reset_defaults()
    return stream.getvalue()


def test_every_log_line_is_one_json_object_whoever_wrote_it() -> None:
    ours, theirs = (json.loads(line) for line in logged("json").splitlines())
    assert (ours["event"], ours["port"], ours["level"], ours["logger"]) == ("started", 8, "info", "ours")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("careful, you", "warning", "theirs")


def test_people_may_have_plain_lines() -> None:
    assert "started" in logged("console").splitlines()[0]
    assert "detail" in logged("console", "debug")


def get(target: str, health: Health, registry: CollectorRegistry | None = None, method: str = "GET") -> Response:
    answer = health_handler(health, registry or CollectorRegistry())(Request(method, target, {}))
    assert isinstance(answer, Response)
    return answer


def test_a_workload_is_live_at_once_ready_when_nothing_is_missing_and_not_while_it_stops() -> None:
    health = Health({"snapshot"})
    assert (get("/healthz", health).status, get("/readyz", health).status) == (200, 503)
    assert json.loads(get("/readyz", health).body) == {"status": "waiting for snapshot"}
    health.waiting_for.discard("snapshot")
    assert get("/readyz?verbose", health).status == 200
    health.stopping = True
    assert json.loads(get("/readyz", health).body) == {"status": "stopping"}
    assert get("/healthz", health).status == 200


def test_the_health_port_answers_nothing_else() -> None:
    assert get("/", Health()).status == 404
    assert get("/healthz", Health(), method="POST").status == 405


def test_metrics_are_in_prometheus_text() -> None:
    registry = new_registry()
    tally = Tally("ff_decisions", "Decisions.", ("verdict", "reason"))
    latency = Latency("ff_seconds", "Seconds.", bounds=(0.001, 0.01))
    registry.register(tally)
    registry.register(latency)
    tally.counts["denied", 'a "reason"'] += 3
    for seconds in (0.0005, 0.001, 0.002, 5.0):
        latency.observe(seconds)
    text = get("/metrics", Health(), registry).body.decode()
    assert 'ff_decisions_total{reason="a \\"reason\\"",verdict="denied"} 3.0' in text
    for line in ('{le="0.001"} 2.0', '{le="0.01"} 3.0', '{le="+Inf"} 4.0'):
        assert f"ff_seconds_bucket{line}" in text
    assert "ff_seconds_count 4.0" in text
    assert "ff_seconds_sum 5.0035" in text
    assert b"process_resident_memory_bytes" in exposition(registry)
