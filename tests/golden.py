"""Texts that were read by a person and are compared since: tests/golden/, remade by `make golden`."""

from __future__ import annotations

import os
import re
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "golden"
REMAKE = "TIGHTFRAME_GOLDEN"  # set by `make golden`


def plain(text: str) -> str:
    """The text without the version of this package, which changes with every release."""
    return re.sub(rf"(?i)(tightframe|version) {re.escape(version('tightframe'))}", r"\1 VERSION", text)


def compare(name: str, text: str, folder: Path = FOLDER) -> None:
    """Compare with what was kept under this name, or keep it."""
    path = folder / name
    if os.environ.get(REMAKE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plain(text) if folder == FOLDER else text, encoding="utf-8")
    assert path.is_file(), f"{name} is not there: make golden, and read what it writes"
    expected, found = plain(path.read_text(encoding="utf-8")).splitlines(), plain(text).splitlines()
    different = [f"{i}: {b}" for i, (a, b) in enumerate(zip(expected, found, strict=False), 1) if a != b]
    assert not different, f"{name}, line {different[0]} (make golden remakes it, to be read)"
    assert len(expected) == len(found), f"{name} has {len(found)} lines, not {len(expected)}"
