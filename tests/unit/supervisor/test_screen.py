"""What `ff up` shows: plain lines say each change once, the live picture shows what is wrong first."""

import io

import pytest
from fastforward_operator.supervisor.screen import LiveScreen, ObjectRow, Picture, PlainScreen, draw
from rich.console import Console, ConsoleDimensions


def row(name: str, *, wrong: str = "", programmed: str = "True") -> ObjectRow:
    reason = "UpstreamNotFound" if wrong else "Programmed"
    return ObjectRow(name=name, programmed=programmed, good=not wrong, reason=reason, message=wrong, proxies="1/1")


def picture(*objects: ObjectRow, envoy: str = "running") -> Picture:
    return Picture(children={"operator": "running", "envoy": envoy}, objects=objects, proxies=("envoy live",))


def drawn(shown: Picture, *, rows: int = 10, width: int = 150) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(draw(shown, rows=rows, width=width))
    return capture.get()


def test_plain_lines_begin_with_how_many_are_right_and_what_is_wrong() -> None:
    lines: list[str] = []
    PlainScreen(lines.append).show(picture(row("Route a"), row("Route b", wrong="c was not found.")))
    assert lines == [
        "1 of 2 resources are programmed without any problem",
        "Route b: programmed, but UpstreamNotFound: c was not found.",
    ]


def test_plain_lines_say_each_change_once() -> None:
    lines: list[str] = []
    screen = PlainScreen(lines.append)
    screen.show(picture(row("Route a"), row("Route b")))
    for _ in range(3):
        screen.show(picture(row("Route a", wrong="No.", programmed="False"), envoy="running again after exit code 1"))
    assert lines[1:] == [
        "envoy: running again after exit code 1",
        "Route a: not programmed, UpstreamNotFound: No.",
        "Route b: gone",
    ]


def test_what_waits_for_a_proxy_is_pending() -> None:
    assert row("Route a", wrong="Waiting for envoy.", programmed="Unknown").verdict == "pending"


def test_the_picture_shows_what_is_wrong_first_and_says_what_there_is_no_room_for() -> None:
    text = drawn(picture(row("Route a"), row("Route b"), row("Route c", wrong="d was not found.")), rows=2)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert lines[0] == "● operator  ● envoy"
    assert lines[1] == "connected: envoy live"
    assert lines[3].split()[:2] == ["Route", "c"]
    assert "UpstreamNotFound: d was not found." in lines[3]
    assert lines[4].split()[:2] == ["Route", "a"]
    assert lines[5] == "and 1 more: ff get"


def test_a_child_that_does_not_run_shows_its_state() -> None:
    assert "● envoy ended with exit code 1, restarting" in drawn(picture(envoy="ended with exit code 1, restarting"))


def test_the_terminal_is_left_as_it_was() -> None:
    terminal = io.StringIO()
    screen = LiveScreen(Console(file=terminal, force_terminal=True, width=100, height=30))
    screen.line("starting")
    screen.show(picture(row("Route a")))
    before = len(terminal.getvalue())
    screen.show(picture(row("Route a")))
    assert len(terminal.getvalue()) == before, "the same picture is not drawn again"
    screen.close()
    screen.close()
    written = terminal.getvalue()
    assert written.startswith("starting\n")
    assert written.rindex("\x1b[?25h") > written.index("\x1b[?25l"), "the cursor is shown again"


PLACE = "somewhere/in/a/deep/folder/of/mine/examples/bookshop/resources/all-the-routes-of-the-shop.yaml:14:"


@pytest.mark.parametrize("width", [40, 60, 80, 110, 150])
def test_what_is_wrong_is_told_in_full_however_narrow_the_terminal_is(width: int) -> None:
    wrong = row("Route bookshop/books", wrong=f"{PLACE} The upstream was not found.")
    text = drawn(picture(wrong, row("Route a")), width=width)
    assert max(map(len, text.splitlines())) <= width
    joined = "".join(text.split())
    # In a column the reason is folded between the cells of other columns: its pieces follow each other all the same.
    assert f"UpstreamNotFound:{PLACE}Theupstreamwasnotfound." in joined.replace("False1/1", "")


def test_a_terminal_that_grows_gets_more_of_the_picture() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=14)
    screen, shown = LiveScreen(console), picture(*(row(f"Route {number}") for number in range(9)))
    screen.show(shown)
    with console.capture() as before:
        screen.show(shown)
    console.size = ConsoleDimensions(80, 40)
    with console.capture() as after:
        screen.show(shown)
    screen.close()
    assert before.get() == ""
    assert "Route 8" in after.get()
