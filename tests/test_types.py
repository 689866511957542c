"""The type checker passes the package, and sees the errors planted here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

OUTSIDE = """\
from tightframe.numerics import frames


def planted(classes: int) -> str:
    frame = frames.simplex_etf(str(classes), classes, seed=0)  # bad-argument-type
    return frame  # bad-return
"""

INSIDE = """\
import sympy

from .proof import checker


def result(count: int) -> str:
    return count + 1  # bad-return


def parameter(count) -> int:  # implicit-any-parameter
    return 1


def argument() -> object:
    return checker.loads(3.5)  # bad-argument-type


def twice(expression: sympy.Expr) -> sympy.Expr:
    return expression * 2


def text_is_no_expression() -> sympy.Expr:
    return twice("x")  # bad-argument-type
"""


def complaints(folder: Path, *options: str) -> set[tuple[str, int, str]]:
    """Run pyrefly in a folder: (file, line, kind of error)."""
    command = [sys.executable, "-m", "pyrefly", "check", *options]
    command += ["--python-interpreter-path", sys.executable, "--output-format", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    errors = [error for error in json.loads(done.stdout)["errors"] if error["severity"] == "error"]
    assert bool(errors) == bool(done.returncode), done.stderr
    return {(Path(error["path"]).name, error["line"], error["name"]) for error in errors}


def expected(name: str, source: str) -> set[tuple[str, int, str]]:
    """The errors that the comments of a planted file announce."""
    lines = enumerate(source.splitlines(), 1)
    return {(name, number, line.rpartition("# ")[2]) for number, line in lines if "  # " in line}


@pytest.mark.checkout
def test_the_package_is_clean(root: Path) -> None:
    assert complaints(root) == set()


@pytest.mark.checkout
def test_planted_errors_inside_the_package_are_caught(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "theory", tmp_path / "theory", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "pyproject.toml", tmp_path)
    (tmp_path / "theory" / "planted.py").write_text(INSIDE)
    found = {error for error in complaints(tmp_path) if error[0] == "planted.py"}
    assert found == expected("planted.py", INSIDE)


def test_planted_errors_of_a_caller_are_caught(tmp_path: Path) -> None:
    """A user's file sees the types of the installed package: needs py.typed and the namespace package to work."""
    (tmp_path / "caller.py").write_text(OUTSIDE)
    assert complaints(tmp_path, "caller.py", "--preset", "default") == expected("caller.py", OUTSIDE)
