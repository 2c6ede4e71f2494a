"""What benchmarks are made of can fail: lost requests are counted, times are parted, worlds are whole."""

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from perf.changes.memory import Churn
from perf.changes.restarts import Asking
from perf.changes.stages import stages
from perf.changes.worlds import HostsWorld, TenantsWorld

from support.processes import free_ports

_BEFORE = {'ff_stage_seconds_sum{stage="compile"}': 5.0, 'ff_stage_seconds_count{stage="compile"}': 1.0}


def _after(counts: dict[str, float]) -> dict[str, float]:
    """Two changes each, which took so many milliseconds on average."""
    after = {}
    for stage, ms in counts.items():
        metric = "ff_change_seconds" if stage in ("published", "acknowledged") else "ff_stage_seconds"
        for part, value in (("sum", ms * 2 / 1e3), ("count", 2.0)):
            name = f'{metric}_{part}{{stage="{stage}"}}'
            after[name] = _BEFORE.get(name, 0.0) + value
    return after


def test_the_stages_of_a_change_add_up_to_it() -> None:
    after = _after({"compile": 1.0, "emit": 2.0, "publish": 0.5, "published": 4.0, "acknowledged": 6.0})
    found = stages(_BEFORE, after, 7.0)
    assert found == pytest.approx((7.0, 0.5, 1.0, 2.0, 0.5, 2.0, 1.0))
    assert sum(found[1:]) == pytest.approx(found.change)


def test_stages_that_the_operator_did_not_count_are_no_zeros() -> None:
    with pytest.raises(ValueError, match="counted nothing"):
        stages(_BEFORE, _after({"compile": 1.0}), 7.0)


@pytest.mark.parametrize("shape", [HostsWorld, TenantsWorld])
@pytest.mark.parametrize("apart", [0, 7])
def test_every_route_is_in_one_file_and_those_apart_are_alone(
    tmp_path: Path, shape: type[HostsWorld | TenantsWorld], apart: int
) -> None:
    world = shape(tmp_path, 50, 8080, apart)
    texts = [text for folder in ("routes", "packed") for file in (tmp_path / folder).glob("*") for text in _texts(file)]
    names = [json.loads(text)["metadata"]["name"] for text in texts]
    assert sorted(names) == sorted(f"r{number}" for number in range(50))
    assert len(world.apart) == (apart or 50)
    assert all(len(_texts(probe.file)) == 1 for probe in world.apart)


def _texts(file: Path) -> list[str]:
    return file.read_text().split("\n---\n")


async def test_a_request_that_nobody_answers_is_counted_as_failed(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    asking = Asking(port, HostsWorld(tmp_path, 1, port).probes)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await asking.run()
    assert asking.failed == asking.asked > 0


def test_growth_is_from_before_the_first_change_to_the_end() -> None:
    churn = Churn(
        routes=10,
        idle={},
        changes=3,
        series=[(0.0, {"operator": 100.0}), (1.0, {"operator": 190.0}), (2.0, {"operator": 110.0})],
    )
    assert churn.growth("operator") == 10.0
