"""pdflatex for tests: a document must compile as it is, and no line may be too long."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

needs_pdflatex = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="no pdflatex (Debian: texlive-latex-base, texlive-latex-recommended)"
)


def compiled(text: str, folder: Path, runs: int = 1) -> str:
    """Typeset a document; the log, with its lines whole."""
    environment = os.environ | {"max_print_line": "1000"}
    (folder / "document.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    for _ in range(runs):
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, env=environment)
        log = (folder / "document.log").read_text(encoding="utf-8", errors="replace")
        assert done.returncode == 0, "\n".join(re.findall(r"^!.*(?:\n.*){3}", log, re.MULTILINE))
    assert (folder / "document.pdf").is_file()
    return log


def built(path: Path) -> str:
    """Typeset a manuscript with its bibliography; the log of the last run."""
    environment = os.environ | {"max_print_line": "1000"}
    latex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", path.name]
    for command in (latex, ["bibtex", path.stem], latex, latex):
        done = subprocess.run(command, cwd=path.parent, capture_output=True, check=False, env=environment)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    return path.with_suffix(".log").read_text(encoding="utf-8", errors="replace")


def too_long(log: str) -> list[str]:
    """Lines more than 1 pt too long."""
    found = re.findall(r"Overfull \\hbox \((\d+\.\d+)pt.*", log)
    return [size for size in found if float(size) > 1]
