"""Path templates mean what Go's ServeMux means by them, and what they catch can be put elsewhere."""

import re

import pytest
import re2
from fastforward_compiler.translate.template import fault_of_path, fault_of_template, parse_template, path_rewrite
from hypothesis import given
from hypothesis import strategies as st

SEGMENT = st.text(alphabet="abc.$()+*?[]^|\\-_~%20", min_size=1, max_size=6)


@given(st.lists(st.tuples(SEGMENT, st.booleans()), min_size=1, max_size=4))
def test_what_is_caught_comes_back(segments: list[tuple[str, bool]]) -> None:
    names = [f"{{n{place}}}" for place, (_, caught) in enumerate(segments) if caught]
    template = "".join(f"/{{n{n}}}" if caught else f"/{text}" for n, (text, caught) in enumerate(segments))
    path = "".join(f"/{text}" for text, _ in segments)
    assert re2.fullmatch(parse_template(template).pattern, path) is not None
    pattern, substitution = path_rewrite(template, f"/{'/'.join(names)}")
    assert re2.sub(pattern, substitution, path) == f"/{'/'.join(text for text, caught in segments if caught)}"


@pytest.mark.parametrize(
    ("template", "yes", "no"),
    [
        ("/a/{b}", ["/a/x", "/a/x.y"], ["/a", "/a/", "/a/x/", "/a/x/y", "/b/x"]),
        ("/a/{b...}", ["/a/", "/a/x", "/a/x/y"], ["/a", "/ab"]),
        ("/{a}.json", ["/x.json", "/x.y.json"], ["/.json", "/xjson", "/x.json/"]),
        ("/", ["/"], ["/a"]),
    ],
)
def test_a_template_matches_whole_paths(template: str, yes: list[str], no: list[str]) -> None:
    pattern = parse_template(template).pattern
    assert [path for path in (*yes, *no) if re.fullmatch(pattern, path)] == yes


def test_faults_name_what_is_wrong() -> None:
    assert not fault_of_template("/{a}/{b}")
    assert fault_of_template("/{a}/{a}") == "it catches a twice"
    assert "too big" in fault_of_template(f"/{'a' * 2500}")
    assert fault_of_path("/{a}", "/{b}/{a}") == "the match does not catch b; it catches a"
    assert fault_of_path("/a", "/{b}") == "the match does not catch b; it catches nothing"
    assert "too big" in fault_of_path(f"/{{a}}/{'a' * 120}", "/{a}")
