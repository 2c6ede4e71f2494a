"""Results of route tests as JUnit XML, which CI systems read.

In: results. Out: an XML text, to be written as UTF-8. Called by route_test.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from .testfile import Case

_UNWRITABLE = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML can hold, not even escaped (XML 1.0, section 2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one test ended."""

    case: Case
    differences: tuple[str, ...]
    """`status: expected 200, got 404`; none when it passed."""
    seconds: float


def junit_xml(results: Sequence[Result]) -> str:
    """One suite a file."""
    root = ET.Element("testsuites", _counts(results))
    for file in dict.fromkeys(result.case.file for result in results):
        inside = [result for result in results if result.case.file == file]
        suite = ET.SubElement(root, "testsuite", {"name": file, **_counts(inside)})
        for result in inside:
            attributes = {"classname": file, "name": result.case.name, "time": f"{result.seconds:.4f}"}
            case = ET.SubElement(suite, "testcase", attributes)
            if result.differences:
                failure = ET.SubElement(case, "failure", {"message": result.differences[0]})
                failure.text = "\n".join((result.case.place, *result.differences))
    ET.indent(root)
    written = _UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", ET.tostring(root, encoding="unicode"))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{written}\n'


def _counts(results: Sequence[Result]) -> dict[str, str]:
    failures = sum(bool(result.differences) for result in results)
    seconds = sum(result.seconds for result in results)
    return {"tests": str(len(results)), "failures": str(failures), "errors": "0", "time": f"{seconds:.4f}"}
