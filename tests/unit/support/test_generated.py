"""What is generated for tests of failures comes again by its seed."""

from __future__ import annotations

import os
import subprocess
import sys

from support.faults.generated import drawn, fingerprint
from support.repository import ROOT


def test_the_same_seed_gives_the_same_documents_and_another_one_others() -> None:
    first = drawn(30, 7)
    assert len(first) == 30
    assert fingerprint(drawn(30, 7)) == fingerprint(first)
    assert fingerprint(drawn(30, 8)) != fingerprint(first)


def test_whoever_draws_gets_the_same_whatever_modules_it_imported() -> None:
    """Hypothesis draws constants from all modules that are there: drawn in this process they would be others."""
    code = (
        "import sys, support.faults.scene, support.worlds\n"
        "from support.faults.generated import drawn, fingerprint\n"
        "sys.stdout.write(fingerprint(drawn(30, 7)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == fingerprint(drawn(30, 7))
