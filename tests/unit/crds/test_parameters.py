"""What ConfigMaps say of the pods of Gateways: every field that is known does something, and any text is answered."""

from __future__ import annotations

import pytest
from fastforward_crds import FieldError, Proxies
from fastforward_crds.gatewayapi import PARAMETERS, parse_parameters
from hypothesis import given
from hypothesis import strategies as st

GOOD = {
    "replicas": "7",
    "resources.requests.cpu": "250m",
    "resources.requests.memory": "64Mi",
    "resources.limits.cpu": "3",
    "resources.limits.memory": "1Gi",
    "service.type": "NodePort",
    "service.loadBalancerClass": "example.com/inner",
    "service.externalTrafficPolicy": "Cluster",
}


def test_every_key_has_an_example() -> None:
    assert set(GOOD) == set(PARAMETERS)


@pytest.mark.parametrize("key", PARAMETERS)
def test_each_key_says_what_the_field_of_its_path_is(key: str) -> None:
    parsed = parse_parameters({key: GOOD[key]})
    assert isinstance(parsed, Proxies)
    assert parsed.model_dump(by_alias=True, exclude_defaults=True) == nested(key, 7 if key == "replicas" else GOOD[key])


def nested(path: str, value: str | int) -> dict[str, object]:
    first, dot, rest = path.partition(".")
    return {first: nested(rest, value) if dot else value}


@pytest.mark.parametrize("number", ["", "-1", "0", "1001", "1.5", "1e3", " 1", "٣", "9" * 5000])
def test_what_is_no_number_of_pods_is_refused(number: str) -> None:
    (error,) = errors_of({"replicas": number})
    assert error.field == "replicas"


@pytest.mark.parametrize(
    "key", ["mode", "decision", "service.annotations", "service", "resources.limits", "replicas.x", ""]
)
def test_nothing_else_can_be_said(key: str) -> None:
    (error,) = errors_of({key: "x"})
    assert error.message.startswith("This field is not known.")


def errors_of(data: dict[str, str]) -> tuple[FieldError, ...]:
    parsed = parse_parameters(data)
    assert not isinstance(parsed, Proxies)
    return parsed


@given(st.dictionaries(st.sampled_from(PARAMETERS) | st.text(max_size=30), st.text(max_size=30), max_size=4))
def test_any_data_is_answered(data: dict[str, str]) -> None:
    parsed = parse_parameters(data)
    assert isinstance(parsed, Proxies) or parsed
    assert isinstance(parsed, Proxies) <= (data.keys() <= set(PARAMETERS))


@given(st.dictionaries(st.sampled_from(PARAMETERS), st.sampled_from(sorted(GOOD.values())), max_size=4))
def test_of_two_that_are_good_so_is_one_laid_over_the_other(own: dict[str, str]) -> None:
    good = {key: value for key, value in own.items() if isinstance(parse_parameters({key: value}), Proxies)}
    assert isinstance(parse_parameters({**GOOD, **good}), Proxies)


@pytest.mark.parametrize(("digits", "message"), [(9, "The most allowed is 1000."), (10, "Wanted is a whole number")])
def test_a_number_is_read_as_one_while_it_is_no_novel(digits: int, message: str) -> None:
    (error,) = errors_of({"replicas": "9" * digits})
    assert error.message.startswith(message)


def test_of_a_long_name_the_beginning_is_shown() -> None:
    (error,) = errors_of({"x" * 500: ""})
    assert error.field.startswith("x" * 60)
    assert len(error.field) < 70


def test_of_many_unknown_fields_ten_are_told() -> None:
    assert [error.field for error in errors_of({f"x{n:02}": "" for n in range(12)})] == [f"x{n:02}" for n in range(10)]
