"""Which document is which object, from contents alone."""

from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler.problem import ObjectRef, Reason
from fastforward_operator.providers import Batch, Source
from fastforward_operator.providers.claims import Claims, Unreadable
from hypothesis import given, settings
from hypothesis import strategies as st

CART = ObjectRef(kind="Upstream", namespace="default", name="cart")
BOOKS = ObjectRef(kind="Upstream", namespace="default", name="books")


def upstream(name: str, address: str = "10.0.0.1", more: str = "") -> str:
    return (
        f"apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Upstream\nmetadata:\n  name: {name}\n"
        f"spec:\n  endpoints: [{{address: {address}, port: 80}}]\n{more}"
    )


class Files:
    """Files in memory, and the claims on them."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes | Unreadable | None] = {}
        self.reads: list[str] = []
        self.claims = Claims(self._read)

    def put(self, **files: str | Unreadable | None) -> Batch:
        contents = {f"{name}.yaml": text.encode() if isinstance(text, str) else text for name, text in files.items()}
        self.contents.update(contents)
        return self.claims.update(contents)

    def _read(self, path: str) -> bytes | Unreadable | None:
        self.reads.append(path)
        return self.contents.get(path)


@pytest.fixture
def files() -> Files:
    return Files()


def address_of(value: object) -> str:
    assert isinstance(value, crds.Upstream)
    return value.spec.endpoints[0].address


def generation_of(batch: Batch, ref: ObjectRef) -> int:
    value = batch.changes[ref]
    assert isinstance(value, crds.Resource)
    return value.metadata.generation


def message_of(value: object) -> str:
    assert isinstance(value, crds.Invalid)
    return value.errors[0].message


def test_every_document_is_an_object_with_its_line(files: Files) -> None:
    batch = files.put(a=upstream("cart") + "---\n" + upstream("books", "10.0.0.2"))
    assert address_of(batch.changes[CART]) == "10.0.0.1"
    assert address_of(batch.changes[BOOKS]) == "10.0.0.2"
    assert batch.sources[BOOKS] == Source(path="a.yaml", line=8, index=1)


@pytest.mark.parametrize("content", ["kind: Namespace\napiVersion: v1", "kind: Namespace\n'"])
def test_an_object_of_the_cluster_belongs_to_no_namespace(files: Files, content: str) -> None:
    batch = files.put(a=f"metadata:\n  name: shop\n{content}\n")
    assert list(batch.changes) == [ObjectRef(kind="Namespace", namespace="", name="shop")]


def test_only_the_document_that_changed_is_told(files: Files) -> None:
    files.put(a=upstream("cart") + "---\n" + upstream("books"))
    batch = files.put(a=upstream("cart") + "---\n" + upstream("books", "10.0.0.9"))
    assert set(batch.changes) == {BOOKS}


def test_a_document_that_only_moves_keeps_its_object_and_gets_a_new_line(files: Files) -> None:
    files.put(a=upstream("cart"))
    batch = files.put(a="# a comment\n---\n" + upstream("books") + "---\n" + upstream("cart"))
    assert set(batch.changes) == {BOOKS}
    assert batch.sources[CART] == Source(path="a.yaml", line=10, index=1)


def test_the_line_of_a_field_is_read_once_and_moves_with_its_document(files: Files) -> None:
    batch = files.put(a="\ufeff" + upstream("cart") + "---\n" + upstream("books"))
    field = "spec.endpoints[0].port"
    assert [files.claims.line_of(batch.sources[BOOKS], field) for _ in range(3)] == [13, 13, 13]
    assert files.reads == ["a.yaml"]
    moved = files.put(a=upstream("cart", more="# A comment.\n\n") + "---\n" + upstream("books"))
    assert files.claims.line_of(moved.sources[BOOKS], field) == 15
    assert files.reads == ["a.yaml"]


def test_a_field_of_a_file_that_changed_meanwhile_is_where_its_document_began(files: Files) -> None:
    source = files.put(a=upstream("cart")).sources[CART]
    files.contents["a.yaml"] = b"kind: Other\n"
    assert files.claims.line_of(source, "spec.endpoints") == source.line
    files.contents["a.yaml"] = upstream("cart").encode()
    assert files.claims.line_of(source, "spec.endpoints") == 6


def test_the_generation_counts_changes_of_the_spec_only(files: Files) -> None:
    assert generation_of(files.put(a=upstream("cart")), CART) == 1
    assert generation_of(files.put(a="# note\n" + upstream("cart")), CART) == 1
    assert generation_of(files.put(a=upstream("cart", "10.0.0.2")), CART) == 2
    assert generation_of(files.put(a=upstream("cart", "10.0.0.1")), CART) == 3


def test_a_generation_that_is_given_wins(files: Files) -> None:
    text = upstream("cart").replace("name: cart", "name: cart\n  generation: 41")
    assert generation_of(files.put(a=text), CART) == 41


def test_an_object_whose_document_goes_is_gone(files: Files) -> None:
    files.put(a=upstream("cart"))
    assert files.put(a=None).changes == {CART: None}
    assert files.put(a=None).changes == {}


def test_of_two_documents_for_one_object_the_first_path_wins_and_the_other_is_told(files: Files) -> None:
    batch = files.put(b=upstream("cart", "10.0.0.2"), a=upstream("cart", "10.0.0.1"))
    assert address_of(batch.changes[CART]) == "10.0.0.1"
    document = ObjectRef(kind="Document", namespace="", name="b.yaml#1")
    (problem,) = batch.documents[document]
    assert problem.reason is Reason.DUPLICATE
    assert problem.message == "Upstream default/cart is already in a.yaml:1, which counts."
    assert batch.sources[document] == Source(path="b.yaml", line=1)


def test_a_copy_that_comes_later_takes_nothing_over_wherever_it_lies(files: Files) -> None:
    files.put(b=upstream("cart", "10.0.0.2"))
    batch = files.put(a=upstream("cart", "10.0.0.1"))
    assert batch.changes == {}
    (problem,) = batch.documents[ObjectRef(kind="Document", namespace="", name="a.yaml#1")]
    assert problem.message == "Upstream default/cart is already in b.yaml:1, which counts."
    again = files.put(b=upstream("cart", "10.0.0.9") + "---\n" + upstream("cart", "10.0.0.2"))
    assert again.changes == {}, "the same document, further down in its file"
    assert address_of(files.put(b=upstream("cart", "10.0.0.3")).changes[CART]) == "10.0.0.3"


def test_a_copy_takes_nothing_over_while_the_operator_is_away_either(files: Files) -> None:
    files.put(b=upstream("cart", "10.0.0.2"))
    restarted = Files()
    restarted.claims.remembered = dict(files.claims.remembered)
    batch = restarted.put(a=upstream("cart", "10.0.0.1"), b=upstream("cart", "10.0.0.2"))
    assert address_of(batch.changes[CART]) == "10.0.0.2"


def test_the_loser_takes_over_when_the_winner_goes_without_a_gap(files: Files) -> None:
    files.put(a=upstream("cart", "10.0.0.1"), b=upstream("cart", "10.0.0.2"))
    batch = files.put(a=None)
    assert address_of(batch.changes[CART]) == "10.0.0.2"
    assert batch.documents == {ObjectRef(kind="Document", namespace="", name="b.yaml#1"): ()}
    assert files.reads == ["b.yaml"]


def test_a_file_that_is_renamed_changes_nothing_but_the_source(files: Files) -> None:
    files.put(b=upstream("cart"))
    batch = files.put(b=None, a=upstream("cart"))
    assert batch.changes == {}
    assert batch.sources == {CART: Source(path="a.yaml", line=1)}


def test_a_bad_field_is_told_on_the_object_and_its_neighbour_is_read(files: Files) -> None:
    batch = files.put(a=upstream("cart", more="  wrong: 1\n") + "---\n" + upstream("books"))
    invalid = batch.changes[CART]
    assert isinstance(invalid, crds.Invalid)
    assert invalid.errors[0].field == "spec.wrong"
    assert isinstance(batch.changes[BOOKS], crds.Upstream)


def test_a_document_that_can_not_be_read_is_told_on_the_object_that_it_names(files: Files) -> None:
    files.put(a=upstream("cart") + "---\n" + upstream("books"))
    batch = files.put(a=upstream("cart", more="  oops: [\n") + "---\n" + upstream("books"))
    assert set(batch.changes) == {CART}
    assert message_of(batch.changes[CART]).startswith("Not YAML")


def test_an_object_is_not_gone_because_its_document_became_unrecognisable(files: Files) -> None:
    files.put(a=upstream("cart"))
    batch = files.put(a="what: [is this")
    assert message_of(batch.changes[CART]).startswith("Its document can't be found: Not YAML")
    (problem,) = batch.documents[ObjectRef(kind="Document", namespace="", name="a.yaml#1")]
    assert problem.reason is Reason.INVALID


def test_it_is_gone_when_the_unrecognisable_document_goes(files: Files) -> None:
    files.put(a=upstream("cart"))
    files.put(a="{{{ what is this")
    assert files.put(a=upstream("books")).changes[CART] is None


def test_a_file_that_can_not_be_read_keeps_its_objects(files: Files) -> None:
    files.put(a=upstream("cart"))
    batch = files.put(a=Unreadable(message="The file is larger than 1.5 MiB: split it."))
    assert "1.5 MiB" in message_of(batch.changes[CART])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("kind: Rout\nmetadata: {name: x}", "Did you mean Route?"),
        ("- 1\n- 2\n", "not a mapping"),
        ("just words", "not a mapping"),
        ("apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Route\n", "This field is required."),
        ("apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Route\nmetadata: {name: Bad Name}", "name"),
        ("apiVersion: gateway.fastforward.dev/v1alpha1\nkind: [Route]\nmetadata: {name: x}", "A kind is required"),
    ],
)
def test_a_document_that_is_no_object_says_why(files: Files, text: str, part: str) -> None:
    batch = files.put(a=text)
    ((problem,),) = batch.documents.values()
    assert part in problem.message
    assert batch.changes == {}


def test_a_mended_document_has_no_problem_left(files: Files) -> None:
    files.put(a="just words")
    batch = files.put(a=upstream("cart"))
    assert batch.documents == {ObjectRef(kind="Document", namespace="", name="a.yaml#1"): ()}


def test_the_world_is_the_same_whatever_the_way_there(files: Files) -> None:
    files.put(a=upstream("cart"))
    first = files.put(b=upstream("books")).world
    assert files.put(b=None).world != first
    assert files.put(b=upstream("books")).world == first


UNREAD = (b"{{{", b"nothing: here\n")
"""Documents that may be any object's: what was in their files is kept."""
NAMES = st.sampled_from(["cart", "books", "users"])
TEXTS = st.one_of(
    st.none(),
    st.lists(
        st.one_of(
            st.builds(upstream, NAMES, st.sampled_from(["10.0.0.1", "10.0.0.2"])),
            st.sampled_from([text.decode() for text in UNREAD]),
        ),
        max_size=3,
    ).map("---\n".join),
)
STEPS = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), TEXTS), max_size=8)


def replay(batches: list[Batch]) -> dict[ObjectRef, Any]:
    """What a listener believes, Invalid ones left aside: they keep what was there."""
    believed: dict[ObjectRef, Any] = {}
    for batch in batches:
        for ref, value in batch.changes.items():
            if value is None:
                believed.pop(ref, None)
            elif isinstance(value, crds.Resource):
                believed[ref] = value.model_dump(exclude={"metadata": {"generation"}})
    return believed


@settings(deadline=None)
@given(STEPS)
def test_any_sequence_of_edits_ends_where_reading_everything_at_once_ends(steps: list[tuple[str, str | None]]) -> None:
    files = Files()
    batches = [files.put(**{name: text}) for name, text in steps]
    fresh = Files()
    at_once = fresh.claims.update({path: content for path, content in files.contents.items() if content is not None})
    here = replay([at_once])
    told = replay(batches)
    # Of two documents for one object the one that was there first counts: which one that is, the edits say.
    twice = {ref for ref, claims in fresh.claims._claims._values.items() if len(claims) > 1}
    # It may be one that can be read no further than its name.
    broken = {ref for batch in batches for ref, value in batch.changes.items() if isinstance(value, crds.Invalid)}
    assert twice & here.keys() <= told.keys() | broken
    here, told = ({ref: value for ref, value in each.items() if ref not in twice} for each in (here, told))
    # Objects whose documents can't be found are kept, so there may be more of them, never fewer or others.
    assert {ref: told[ref] for ref in here} == here
    contents = [content for content in files.contents.values() if isinstance(content, bytes)]
    assert any(text in content for text in UNREAD for content in contents) or told == here


WHOLE = upstream("cart") + "---\n" + upstream("books")


@pytest.mark.parametrize(
    "content",
    [
        *(WHOLE[: -len(upstream("books")) + length] for length in (4, 8, 30, 45, 62, 72)),
        upstream("cart") + "---\n" + upstream("books").replace("Upstream", "Upsteam"),
        upstream("cart") + "---\n" + upstream("books").replace("name: books", "name: Books"),
        upstream("cart") + "---\n" + upstream("books").replace("kind:", "knid:"),
        upstream("cart") + "---\n" + upstream("books").replace("v1alpha1\nkind: Upstream", "v9\nkind: Upsteam"),
    ],
)
def test_a_torn_file_or_a_slip_in_kind_or_name_takes_nothing_away(files: Files, content: str) -> None:
    files.put(a=WHOLE)
    batch = files.put(a=content)
    assert isinstance(batch.changes[BOOKS], crds.Invalid)
    assert CART not in batch.changes
    assert files.put(a=WHOLE).changes.keys() == {BOOKS}
    assert files.put(a=upstream("cart")).changes == {BOOKS: None}


def test_what_is_clearly_of_others_keeps_nothing(files: Files) -> None:
    others = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"
    files.put(a=WHOLE + others)
    assert files.put(a=upstream("cart") + others).changes == {BOOKS: None}
