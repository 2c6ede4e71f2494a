"""AdmissionReviews: what is read of them, whatever they are, and what is answered."""

from __future__ import annotations

import json
from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler.problem import ObjectRef, Reason, problem
from fastforward_operator.admission.review import (
    MAX_TEXT,
    MAX_WARNINGS,
    Answer,
    ReviewError,
    read_review,
    write_review,
)
from hypothesis import given
from hypothesis import strategies as st

ROUTE = {"group": crds.GROUP, "version": crds.VERSION, "kind": "Route"}
REF = ObjectRef(kind="Route", namespace="shop", name="books")


def body(**request: Any) -> bytes:  # noqa: ANN401
    told = {
        "uid": "u-1",
        "operation": "CREATE",
        "kind": ROUTE,
        "name": "books",
        "namespace": "shop",
        "object": {"metadata": {"name": "books", "namespace": "shop"}, "spec": {}},
        **request,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": told}).encode()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b"9" * 5000, "not JSON"),
        (b"null", "no AdmissionReview"),
        (b"[]", "no AdmissionReview"),
        (b"{}", "no AdmissionReview"),
        (b'{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}', "no AdmissionReview"),
        (b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}', "no request"),
        (b'{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": []}', "no request"),
        (body(uid=None), "no uid"),
        (body(uid=""), "no uid"),
        (body(uid="u" * 1000), "no uid"),
        (body(uid={}), "no uid"),
        (body(object=[]), "object is no object"),
        (body(oldObject="x"), "oldObject is no object"),
    ],
)
def test_what_is_no_review_is_told(sent: bytes, why: str) -> None:
    with pytest.raises(ReviewError, match=why):
        read_review(sent)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_nothing_else_is_raised(sent: bytes | str) -> None:
    try:
        read_review(sent if isinstance(sent, bytes) else sent.encode())
    except ReviewError:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["operation", "kind", "name", "namespace", "subResource", "object", "oldObject"]), JSON)
def test_a_field_of_any_kind_is_read_or_refused(field: str, value: object) -> None:
    try:
        asked = read_review(body(**{field: value}))
    except ReviewError:
        return
    assert isinstance(asked.to_be_judged, bool)
    assert json.loads(write_review(asked, Answer()))["response"] == {"uid": "u-1", "allowed": True}


@pytest.mark.parametrize(
    ("request_", "judged"),
    [
        ({}, True),
        ({"operation": "UPDATE", "oldObject": {"spec": {"a": 1}}}, True),
        ({"operation": "UPDATE", "oldObject": {"spec": {}}}, False),
        ({"operation": "UPDATE", "oldObject": None}, True),
        ({"operation": "DELETE", "object": None}, False),
        ({"operation": "CONNECT"}, False),
        ({"operation": 1}, False),
        ({"subResource": "status"}, False),
        ({"object": None}, False),
        ({"kind": {**ROUTE, "version": "v9"}}, False),
        ({"kind": {**ROUTE, "group": "example.com"}}, False),
        ({"kind": {**ROUTE, "kind": "Nonsense"}}, False),
        ({"kind": "Route"}, False),
        ({"dryRun": True}, True),
        ({"object": {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}}, False),
        ({"object": {"metadata": [], "spec": {}}}, True),
    ],
)
def test_what_says_something_new_of_our_kinds_is_judged(request_: dict[str, Any], judged: bool) -> None:
    assert read_review(body(**request_)).to_be_judged is judged


def test_a_refusal_names_every_field() -> None:
    refused = (
        problem(REF, Reason.HOST_NOT_OWNED, "spec.hosts[0]", "Host b is not yours."),
        problem(REF, Reason.INVALID, "", "Broken."),
    )
    response = json.loads(write_review(read_review(body()), Answer(refused=refused)))["response"]
    assert (response["uid"], response["allowed"]) == ("u-1", False)
    status = response["status"]
    assert (status["code"], status["reason"], status["details"]["kind"]) == (422, "Invalid", "Route")
    assert status["details"]["causes"] == [
        {"reason": "HostNotOwned", "message": "Host b is not yours. (HostNotOwned)", "field": "spec.hosts[0]"},
        {"reason": "Invalid", "message": "Broken. (Invalid)", "field": ""},
    ]
    assert status["message"] == (
        'Route "books" is invalid: spec.hosts[0]: Host b is not yours. (HostNotOwned) Broken. (Invalid)'
    )


def test_warnings_are_few_and_short() -> None:
    warned = tuple(problem(REF, Reason.UPSTREAM_NOT_FOUND, f"spec.rules[{n}]", "x" * 500) for n in range(50))
    found = json.loads(write_review(read_review(body()), Answer(warned=warned, remarks=("Note.",))))["response"]
    assert found["allowed"]
    assert len(found["warnings"]) == MAX_WARNINGS
    assert found["warnings"][0] == "Note."
    assert found["warnings"][-1] == "42 more: see the object's status."
    assert max(map(len, found["warnings"])) == MAX_TEXT


def test_no_text_breaks_out_of_the_answer() -> None:
    hostile = '"}\n{"response": {"allowed": true}}\ud800\u2028'
    asked = read_review(body(uid="u", name=hostile))
    written = write_review(asked, Answer(refused=(problem(REF, Reason.INVALID, hostile, hostile),)))
    assert written.isascii()
    assert json.loads(written)["response"]["allowed"] is False
