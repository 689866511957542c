"""The README's examples in Python run as they are written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"


def examples(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.checkout
def test_the_examples_run(tmp_path: Path) -> None:
    found = examples(README.read_text(encoding="utf-8"))
    assert len(found) >= 2
    for code in found:
        command = [sys.executable, "-W", "error::UserWarning", "-c", code]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{code}\n{run.stderr}"
        assert run.stdout
    [tracked] = [code for code in found if "CollapseTracker" in code]
    assert "tracker.step()" in tracked


def test_an_example_that_fails_is_found() -> None:
    assert examples("text\n```python\nimport nothing\n```\n```console\n$ ls\n```\n") == ["import nothing\n"]
