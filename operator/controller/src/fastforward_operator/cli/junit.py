"""Results of route tests as JUnit XML, which CI systems read.

In: results. Out: an XML text. Called by route_test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from .testfile import Case


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
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    failures = sum(bool(result.differences) for result in results)
    seconds = sum(result.seconds for result in results)
    return {"tests": str(len(results)), "failures": str(failures), "errors": "0", "time": f"{seconds:.4f}"}
