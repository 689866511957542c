"""`pytest --tightframe FILE` in somebody else's repository, with folders of its own named as ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CLAIMS = """from tightframe.papers.draft import *
PAPER = Draft("mine2027", "Mine")
n = PAPER.integer("n")
lam = PAPER.real("lambda", above=0)
A, B = PAPER.matrix("A", n, n), PAPER.matrix("B", n, n)

def right(values, seed):
    return Comparison([values["lambda"]], [values["lambda"]], 1e-12)

def wrong(values, seed):
    return Comparison([values["lambda"] ** 2], [values["lambda"]], 1e-12)

def never(values, seed):
    return Comparison([1.0], [1.0], 1e-12, converged=False)

PAPER.claim("good", "Good", Equal(trace(A * B), trace(B * A)), recorded="proved")
PAPER.claim("scaled", "Scaled", Equal(lam * A + B, B + lam * A), simulate=right)
PAPER.claim("differs", "Differs", Equal(lam * A, A * lam), simulate=wrong, prove=False)
PAPER.claim("stuck", "Stuck", Equal(lam * A, A * lam), simulate=never, prove=False)
PAPER.claim("slip", "Slip", Equal(A * B, B * A), recorded="proved")
PAPER.claim("known", "Known to be false", Equal(A * B, B * A), recorded="refuted", prove=False)
PAPER.claim("open", "Open", Equal(lam * A + 0 * B, A * lam), prove=False)
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A repository with top-level folders ``theory`` and ``numerics``, a test, and claims."""
    for folder, value in (("theory", 1), ("numerics", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(f"VALUE = {value}\n")
    (tmp_path / "test_mine.py").write_text(
        "import numerics, theory\n\ndef test_mine():\n    assert (theory.VALUE, numerics.VALUE) == (1, 2)\n"
    )
    (tmp_path / "claims.py").write_text(CLAIMS)
    return tmp_path


def run(folder: Path, *words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-rA", "--strict-markers"]
    environment = {**os.environ, "TIGHTFRAME_STORE": str(folder / "store")}
    environment.pop("TIGHTFRAME_CLAIMS", None)
    done = subprocess.run(
        [*command, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


def test_claims_are_tests_beside_folders_of_the_same_names(scratch: Path) -> None:
    (scratch / "broken.py").write_text("x = 1\n1 / 0\n")
    code, out = run(scratch, "--tightframe", "claims.py", "--tightframe", "broken.py", "--tightframe-every", "9")
    assert code == 1
    lines = out[out.index("short test summary info") :]
    for passed in ("test_mine.py::test_mine", "claims.py::good::recheck", "claims.py::good::mutants"):
        assert f"PASSED {passed}" in lines
    for passed in ("scaled::property", "known::recheck"):
        assert f"PASSED claims.py::{passed}" in lines
    assert "SKIPPED" in lines  # what is not proved and not recorded as proved
    assert "simulation and theory differ at {" in out
    assert "claims.py:19: mine2027/stuck: 20 of 20 simulations did not converge" in out
    assert "claims.py:20: mine2027/slip: refuted: false in an exact example" in out
    assert "broken.py:2: ZeroDivisionError: division by zero" in out
    for failed in ("claims.py::differs::property", "claims.py::stuck::property", "claims.py::slip::recheck"):
        assert f"FAILED {failed}" in lines
    assert "FAILED broken.py::import" in lines
    assert "good::property" not in lines  # it has no simulation


def test_a_stored_certificate_is_replayed_and_a_forged_one_is_caught(scratch: Path) -> None:
    environment = {**os.environ, "TIGHTFRAME_STORE": str(scratch / "store")}
    command = [
        sys.executable,
        "-m",
        "tightframe.papers.cli",
        "verify",
        "claims.py::good",
        "--certificates",
        "certificates",
    ]
    subprocess.run(command, cwd=scratch, env=environment, check=True, capture_output=True)
    words = ("--tightframe", "claims.py", "-k", "good and recheck", "-m", "tightframe", "test_mine.py")
    code, out = run(scratch, *words)
    assert (code, "1 passed" in out) == (0, True), out
    path = scratch / "certificates" / "mine2027" / "good.json"
    data = json.loads(path.read_text())
    data["steps"][-1]["rule"] = "rewrite"
    path.write_text(json.dumps(data))
    code, out = run(scratch, *words)
    assert code == 1
    assert "is not accepted" in out
    assert "make it anew: tightframe verify mine2027/good --certificates" in out


def test_nothing_is_loaded_that_was_not_asked_for(scratch: Path) -> None:
    (scratch / "conftest.py").write_text(
        "import sys\n\ndef pytest_sessionfinish():\n"
        "    print('LOADED', sorted(name for name in sys.modules if 'tightframe' in name))\n"
    )
    code, out = run(scratch)
    assert (code, "1 passed" in out) == (0, True), out
    assert "LOADED ['tightframe', 'tightframe.papers', 'tightframe.papers.pytest_plugin']" in out
