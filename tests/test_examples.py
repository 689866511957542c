"""The examples that come with the package: a manuscript that is audited and typeset, and a notebook that runs."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import golden
import pytest
from tightframe.papers import audit, cli, registry
from tightframe.papers.writing import citation
from tightframe.papers.writing.notation import load
from typesetting import built, needs_pdflatex, too_long

FOLDER = Path(cli.__file__).parent / "examples"
MANUSCRIPT = FOLDER / "manuscript"
GENERATED = ("han2022/ls-decomposition", "han2022/closed-form")
PARTS = {
    "han2022/ls-decomposition": (1,),
    "han2022/closed-form": (1,),
    "han2022/growth": (1,),
    "dang2023/ridge-features": (2,),
    "dang2023/balanced-of": (2, 6),
    "garrod2025/dnc-suboptimal": (1,),
}


@pytest.fixture
def manuscript(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MANUSCRIPT, tmp_path / "manuscript")) / "paper.tex"


# ---------------------------------------------------------------------------------------------- the manuscript


def test_all_six_equations_are_those_of_the_claims(manuscript: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = audit(manuscript, load(str(MANUSCRIPT / "notation.toml")))
    assert {each.claim: each.parts for each in found.equations} == PARTS
    assert {str(each.finding) for each in found.equations} == {"same"}
    assert not found.citations
    code = cli.main(["audit", str(manuscript), "--notation", str(MANUSCRIPT / "notation.toml"), "--json"])
    assert code == 0
    assert json.loads(capsys.readouterr().out)["counts"]["same"] == 6


@pytest.mark.parametrize(
    ("file", "old", "new", "finding", "words"),
    [
        ("paper.tex", r"\tfrac{n}{4}\, \sigma(t)^4", r"\tfrac{n}{2}\, \sigma(t)^4", "differs", "by the factor"),
        ("paper.tex", r"+ K n \mu\, I_d", r"- K n \mu\, I_d", "differs", ""),
        ("paper.tex", r"WW^\tr".replace("WW", "W W"), r"W^\tr W", "differs", "the sizes do not fit"),
        ("paper.tex", r"(1 + x^L)\, Y H^\tr", r"(1 - x^L)\, Y H^\tr", "differs", ""),
        ("paper.tex", r"2m - 1 >", "2m >", "differs", ""),
        (
            "paper.tex",
            r"\quad \text{for } m \ge 2,\; L \ge 3 \text{ or } m \ge 3,\; L = 2 ",
            "",
            "differs",
            "condition",
        ),
        ("equations/han2022/closed-form.tex", r"\frac{n}{4}", r"\frac{n}{3}", "differs", "more"),
        ("equations/han2022/closed-form.tex", "hash ", "hash 0", "stale", "hash"),
        ("refs.bib", "2106.02073v4", "2106.02073v1", "", "2106.02073v1"),
    ],
)
def test_a_slip_in_the_manuscript_is_found(
    file: str, old: str, new: str, finding: str, words: str, manuscript: Path
) -> None:
    path = manuscript.parent / file
    text = path.read_text("utf-8")
    before, after = text.rpartition(old)[::2]
    assert before
    path.write_text(f"{before}{new}{after}", "utf-8")
    found = audit(manuscript, load(str(MANUSCRIPT / "notation.toml")))
    wrong = [each for each in found.all if each.finding != "same"]
    assert [str(each.finding) for each in wrong] == [finding or "differs"]
    assert words in wrong[0].detail
    assert found.exit_code() == (3 if finding == "unread" else 1)


def test_the_files_of_the_manuscript_are_as_they_were(tmp_path: Path) -> None:
    """What `tightframe cite` writes is what lies there; `make golden` writes it again."""
    citation.save(GENERATED, tmp_path, notation=load(str(MANUSCRIPT / "notation.toml")))
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        name = path.relative_to(tmp_path)
        golden.compare(str(name), path.read_text("utf-8"), MANUSCRIPT / "equations")
    references = "\n".join(registry.paper(key).bibtex for key in ("han2022", "dang2023", "garrod2025"))
    golden.compare("refs.bib", references, MANUSCRIPT)


@needs_pdflatex
def test_the_manuscript_is_typeset_without_a_complaint(manuscript: Path) -> None:
    log = built(manuscript)
    assert not too_long(log)
    assert "LaTeX Warning" not in log
    assert "(3 pages" in log


# ---------------------------------------------------------------------------------------------- the notebook


def test_the_notebook_runs() -> None:
    pytest.importorskip("marimo")
    path = FOLDER / "notebook.py"
    spec = importlib.util.spec_from_file_location("notebook", path)
    assert spec is not None
    assert spec.loader is not None
    notebook: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook)
    outputs, names = notebook.app.run()
    assert len(outputs) == 10
    assert all(output is not None for output in outputs)
    assert names["replayed"].accepted == (names["claim"].id,)
    assert names["simulated"]["converged"]
    assert names["simulated"]["max_relative_deviation"] < 1e-6
    assert len(names["figure"].axes[0].lines) == 4
    assert r"\label{tf:han2022.closed-form}" in names["equation"]
    assert "K^{2} n" in names["elsewhere"]
    (found,) = names["audited"].equations
    assert (found.finding, found.detail) == ("differs", r"by 1/4 N w^4 more")
