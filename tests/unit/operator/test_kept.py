"""What is kept small is what was put in; looking at some of it makes nothing else again."""

from __future__ import annotations

import fastforward_crds as crds
import pytest
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.kept import Kept


def ref(name: str) -> ObjectRef:
    return ObjectRef(kind="Tenant", namespace="shop", name=name)


def tenant(name: str) -> crds.Resource:
    document = {"apiVersion": crds.API_VERSION, "kind": "Tenant", "metadata": {"name": name}, "spec": {}}
    made = crds.parse_resource(document)
    assert isinstance(made, crds.Resource)
    return made


def invalid(name: str) -> crds.Invalid:
    return crds.Invalid(kind="Tenant", namespace="shop", name=name, generation=2, errors=())


def test_it_holds_resources_invalid_documents_and_what_is_gone() -> None:
    kept = Kept({ref("a"): tenant("a"), ref("b"): invalid("b"), ref("c"): None})
    assert dict(kept) == {ref("a"): tenant("a"), ref("b"): invalid("b"), ref("c"): None}
    assert list(kept.invalid()) == [(ref("a"), None), (ref("b"), invalid("b")), (ref("c"), None)]
    assert dict(kept.some([ref("a"), ref("nowhere")])) == {ref("a"): tenant("a")}


def test_what_is_taken_over_wins_and_is_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, news = Kept({ref("a"): invalid("a"), ref("b"): None}), Kept({ref("a"): tenant("a")})
    monkeypatch.setattr(crds.Packed, "unpack", lambda _: pytest.fail("made again"))
    kept.take_over(news)
    monkeypatch.undo()
    assert dict(kept) == {ref("a"): tenant("a"), ref("b"): None}


def test_an_invalid_change_leaves_the_last_good_version() -> None:
    kept = Kept({ref("a"): tenant("a"), ref("b"): tenant("b")})
    kept.merge(Kept({ref("a"): invalid("a"), ref("b"): None, ref("c"): invalid("c"), ref("d"): tenant("d")}))
    assert dict(kept) == {ref("a"): tenant("a"), ref("c"): invalid("c"), ref("d"): tenant("d")}
