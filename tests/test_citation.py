"""Citations: entries that BibTeX reads, equations that compile where they are pasted, a trail back to the evidence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import bibtexparser
import golden
import pytest
import typst
from tightframe.papers import cli, registry
from tightframe.papers.claim import Claim
from tightframe.papers.verification import standing
from tightframe.papers.writing import bibliography, citation
from tightframe.papers.writing.notation import load
from typesetting import compiled, needs_pdflatex, too_long

IDS = list(registry.claims())
SHOWN = {"tex": citation.latex, "typ": citation.typst, "md": citation.markdown}


@pytest.fixture(params=IDS)
def claim(request: pytest.FixtureRequest) -> Claim:
    return registry.find(request.param)


@pytest.fixture(scope="module")
def every() -> list[citation.Citation]:
    return [citation.Citation(claim, standing(claim)) for claim in registry.claims().values()]


# ---------------------------------------------------------------------------------------------- BibTeX


ENTRIES = {
    "han2022": {
        "author": "Han, X. Y. and Papyan, Vardan and Donoho, David L.",
        "title": "Neural Collapse Under {MSE} Loss: Proximity to and Dynamics on the Central Path",
        "booktitle": "International Conference on Learning Representations",
        "year": "2022",
        "eprint": "2106.02073v4",
        "archiveprefix": "arXiv",
    },
    "dang2023": {
        "author": "Dang, Hien and Tran, Tho and Osher, Stanley and Tran-The, Hung and Ho, Nhat and Nguyen, Tan",
        "title": "Neural Collapse in Deep Linear Networks: From Balanced to Imbalanced Data",
        "booktitle": "Proceedings of the 40th International Conference on Machine Learning",
        "series": "Proceedings of Machine Learning Research",
        "volume": "202",
        "pages": "6873--6947",
        "year": "2023",
        "eprint": "2301.00437v5",
        "archiveprefix": "arXiv",
    },
    "garrod2025": {
        "author": "Garrod, Connall and Keating, Jonathan P.",
        "title": "The Persistence of Neural Collapse Despite Low-Rank Bias",
        "booktitle": "Advances in Neural Information Processing Systems",
        "year": "2025",
        "eprint": "2410.23169v2",
        "archiveprefix": "arXiv",
    },
}


@pytest.mark.parametrize("key", registry.papers())
def test_entries_are_complete(key: str) -> None:
    library = bibtexparser.parse_string(bibliography.bibtex(registry.paper(key)))
    assert not library.failed_blocks
    (parsed,) = library.entries
    assert parsed.key == key
    fields = {field.key: field.value for field in parsed.fields}
    assert all(fields.values())
    assert {"author", "title", "year"} <= set(fields)
    assert bibliography.entry(bibliography.bibtex(registry.paper(key))).fields == fields
    assert re.sub("[{}]", "", fields["title"]) == registry.paper(key).title


@pytest.mark.parametrize("key", ENTRIES)
def test_the_entries_of_papers_are_right(key: str) -> None:
    """Compared with the abstract pages of arXiv and with the proceedings."""
    found = bibliography.entry(bibliography.bibtex(registry.paper(key)))
    assert (found.kind, found.fields) == ("inproceedings", ENTRIES[key])


def test_names_are_read_as_bibtex_reads_them() -> None:
    text = "@misc{a, author = {van der Berg, Anna and {The Group} and C. D. Ef}, title = {T}, year = {2000}}"
    paper = replace(registry.paper("han2022"), bibtex=text)
    assert bibliography.authors(paper) == ("Anna van der Berg", "The Group", "C. D. Ef")
    assert bibliography.reference(paper) == "Anna van der Berg, The Group and C. D. Ef. T. 2000."


def test_entries_name_the_version_that_claims_are_taken_from(claim: Claim) -> None:
    fields = bibliography.entry(bibliography.bibtex(registry.paper(claim.paper))).fields
    if claim.paper == bibliography.SOFTWARE:
        assert fields["note"] == f"Version {version('tightframe')}"
    else:
        assert fields["eprint"] == claim.version


def test_each_paper_is_entered_once() -> None:
    library = bibtexparser.parse_string(citation.cite([*IDS, *IDS], "bibtex"))
    assert not library.failed_blocks
    assert [parsed.key for parsed in library.entries] == list(registry.papers())


@pytest.mark.parametrize("text", ["", "misc{key,}", "@misc{key, title = {open", "@misc{a, b = {c}} @misc{", "@misc{,}"])
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="entry"):
        bibliography.entry(text)


# ---------------------------------------------------------------------------------------------- a bibliography

OLD = b'% mine\r\n@article{DANG2023, title = {Old {text}}}\r\n@comment{x}\r\n@string{a = "b"}\r\n@book{b, title=a}'


def test_a_bibliography_is_only_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "refs.bib"
    path.write_bytes(OLD)
    path.chmod(0o640)
    papers = [registry.paper(key) for key in ("han2022", "dang2023")]
    assert bibliography.append(path, papers) == ("han2022",), "keys are compared as BibTeX does"
    data = path.read_bytes()
    assert data.startswith(OLD)
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert path.stat().st_mode & 0o777 == 0o640
    library = bibtexparser.parse_string(data.decode())
    assert [parsed.key for parsed in library.entries] == ["DANG2023", "b", "han2022"]
    assert bibliography.append(path, papers) == ()
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "old", [b"", b"\n", b"@misc{a, t = {b}}", b"@misc{a, t = {b}}\n", b"\xff caf\xe9 in latin-1\n"]
)
def test_appended_entries_can_be_read_whatever_stood_there(old: bytes, tmp_path: Path) -> None:
    path = tmp_path / "new" / "refs.bib"
    path.parent.mkdir()
    path.write_bytes(old)
    assert bibliography.append(path, registry.papers().values()) == tuple(registry.papers())
    assert path.read_bytes().startswith(old)
    library = bibtexparser.parse_string(path.read_bytes().decode("latin-1"))
    assert not library.failed_blocks
    assert [parsed.key for parsed in library.entries][-len(registry.papers()) :] == list(registry.papers())
    assert [entry.name for entry in path.parent.iterdir()] == ["refs.bib"]


def test_links_and_doubled_entries_stay(tmp_path: Path) -> None:
    real, path = tmp_path / "real.bib", tmp_path / "refs.bib"
    real.write_text("@misc{a, t = {1}}\n@misc{a, t = {2}}\n@misc{b, t = {1}, t = {2}}\n")
    path.symlink_to(real)
    assert bibliography.append(path, [registry.paper("han2022")]) == ("han2022",)
    assert path.is_symlink()
    assert "han2022" in real.read_text()


def test_a_bibliography_that_cannot_be_read_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "refs.bib"
    path.write_text("@misc{a, t = {b}}\n\n@article{broken, title = {never closed\n")
    words = ["cite", "han2022/closed-form", "--bib", str(path)]
    old = path.read_bytes()
    code, out, err = run(*words, capsys=capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "as BibTeX (line 3); it is left as it is" in err
    assert path.read_bytes() == old
    assert "cannot write" in run("cite", "han2022/closed-form", "--bib", str(tmp_path), capsys=capsys)[2]

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    path.write_text("% old\n")
    monkeypatch.setattr("tightframe.papers.store.os.replace", fail)
    code, out, err = run(*words, capsys=capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert path.read_text() == "% old\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["refs.bib"]


# ---------------------------------------------------------------------------------------------- LaTeX


def test_latex_says_what_stands_behind_the_equation(claim: Claim) -> None:
    lines = citation.cite([claim.id]).splitlines()
    comments = [line for line in lines if line.startswith("% ")]
    assert lines[: len(comments)] == comments
    verdict = standing(claim).verdict_text()
    assert comments[0] == f"% tightframe {version('tightframe')}: {claim.id}, hash {claim.hash}, {verdict}"
    assert claim.title in comments[1]
    assert claim.sharpens is None or f"generalises {claim.sharpens}" in comments[1]
    for parameter in claim.domain.parameters:
        assert any(line.startswith(f"%   {parameter.says}: ") for line in comments)
    for name, says in citation.Citation(claim, standing(claim)).hypotheses:  # with the centring matrix as a letter
        assert f"%   if {name}: {says}" in comments
    place = "" if claim.locator is None else f"[{claim.locator}]"
    command, begin, *more = lines[len(comments) :]
    assert command == rf"\cite{place}{{{claim.paper}}}"
    label = rf"\label{{tf:{claim.paper}.{claim.slug}}}"
    if begin == r"\begingroup\allowdisplaybreaks":  # what is taller than a page
        assert more[0] == r"\begin{align}"
        assert label in more[1]
    else:
        assert begin == rf"\begin{{equation}}{label}"


def test_lemmas_are_named_beside_the_verdict() -> None:
    first = citation.cite(["han2022/central-path-loss"]).splitlines()[0]
    assert first.endswith("proved (conditional on positive definite square root, singular value decomposition)")


def test_a_known_locator_is_cited() -> None:
    claim = replace(registry.find("han2022/ls-classifier"), locator="Theorem 2")
    cited = citation.Citation(claim, standing(claim))
    assert r"\cite[Theorem 2]{han2022}" in citation.latex(cited)


def test_labels_are_unique(every: list[citation.Citation]) -> None:
    labels = re.findall(r"\\label\{([^}]*)\}", "".join(map(citation.latex, every)))
    assert labels == [f"tf:{name.replace('/', '.')}" for name in IDS]
    assert len(set(labels)) == len(labels)


# ---------------------------------------------------------------------------------------------- formats


def test_every_claim_in_every_format(every: list[citation.Citation]) -> None:
    for cited in every:
        claim = cited.claim
        found = [shown(cited) for shown in SHOWN.values()]
        for text in (*found, json.dumps(citation.data(cited))):
            assert claim.hash in text
            assert claim.id in text
        assert all(text.endswith("\n") and not text.endswith("\n\n") for text in found)
        assert found[2].count("$$") % 2 == 0
        assert bibliography.reference(registry.paper(claim.paper)) in found[2]


def test_json_has_the_documented_keys(every: list[citation.Citation]) -> None:
    keys = (
        "id",
        "hash",
        "verdict",
        "conditional_on",
        "unchecked",
        "assumptions",
        "title",
        "key",
        "locator",
        "label",
        "notation",
        "renamed",
    )
    keys += ("statement_latex", "definitions_latex", "parameters", "hypotheses", "latex", "bibtex")
    for cited in every:
        assert tuple(citation.data(cited)) == keys
    (found,) = json.loads(citation.cite(["han2022/closed-form"], "json"))
    assert found["id"] == "han2022/closed-form"
    assert found["latex"] == citation.cite(["han2022/closed-form"])


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_prints_citations(capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in (
        (IDS[:2], citation.cite(IDS[:2])),
        ([IDS[0], "--format", "bibtex"], citation.cite(IDS[:1], "bibtex")),
        ([IDS[0], "--json"], citation.cite(IDS[:1], "json")),
        ([IDS[0], "--format", "typst"], citation.cite(IDS[:1], "typst")),
        ([IDS[0], "--notation", "han2022"], citation.cite(IDS[:1], notation=load("han2022"))),
    ):
        assert run("cite", *words, capsys=capsys) == (0, expected, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Missing argument"),
        (["han2022/ls-classifier", "nonsense"], "no claim is called 'nonsense'"),
        (["ls-classifier"], "the nearest is han2022/ls-classifier"),
        (["han2022/ls-classifier", "--format", "word"], "expected one of latex, typst, markdown, bibtex, json"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run("cite", *words, capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert expected in err


# ---------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("suffix", SHOWN)
def test_citations_are_as_they_were_read(suffix: str, every: list[citation.Citation]) -> None:
    """Every format of every claim; `make golden` remakes what is compared, to be read before it is committed."""
    text = "\n".join(SHOWN[suffix](cited) for cited in every)
    golden.compare(f"citations.{suffix}", text)


def test_data_of_citations_are_as_they_were(every: list[citation.Citation]) -> None:
    rest = ("latex", "bibtex", "definitions_latex", "parameters", "hypotheses")  # these are in the texts
    shown = [{key: value for key, value in citation.data(cited).items() if key not in rest} for cited in every]
    golden.compare("citations.json", json.dumps(shown, indent=1, ensure_ascii=False) + "\n")


def test_a_folder_holds_every_equation_and_the_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "claims"
    code, text, err = run("cite", *IDS[:2], "--out", str(out), "--bib", str(tmp_path / "refs.bib"), capsys=capsys)
    assert (code, err) == (0, "")
    names = [f"{name}.tex" for name in IDS[:2]]
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == sorted([*names, "tightframe.sty"])
    assert text == f"written: {', '.join(str(out / name) for name in (*names, 'tightframe.sty'))}\n"
    assert (out / names[0]).read_text() == citation.cite(IDS[:1])
    assert version("tightframe") in (out / "tightframe.sty").read_text()
    assert "@inproceedings{dang2023," in (tmp_path / "refs.bib").read_text()
    code, text, _ = run("cite", IDS[0], "--format", "typst", "--out", str(out), "--json", capsys=capsys)
    assert json.loads(text) == {"written": [str(out / f"{IDS[0]}.typ")]}


@needs_pdflatex
def test_the_package_puts_equations_in_a_manuscript(tmp_path: Path) -> None:
    """All of them, beside the manuscript and in a folder of it, with references that are resolved."""
    citation.save(IDS, tmp_path)
    uses = "\n".join(rf"\tfeq{{{name}}} \eqref{{tf:{name.replace('/', '.')}}}" for name in IDS)
    items = "".join(rf"\bibitem{{{key}}} {key}" + "\n" for key in registry.papers())
    end = f"\\begin{{thebibliography}}{{9}}\n{items}\\end{{thebibliography}}\n\\end{{document}}\n"
    head = "\\documentclass[11pt]{article}\n\\usepackage[margin=1in]{geometry}\n\\usepackage{tightframe}\n"
    log = compiled(f"{head}\\begin{{document}}\n{uses}\n{end}", tmp_path, runs=2)
    assert not too_long(log)
    assert "LaTeX Warning" not in log, "an undefined or doubled label or citation"
    citation.save(["han2022/closed-form"], tmp_path / "folder")
    (tmp_path / "tightframe.sty").unlink()
    text = head.replace("{tightframe}", "{folder/tightframe}")
    log = compiled(rf"{text}\begin{{document}}\tfeq{{han2022/closed-form}}\end{{document}}", tmp_path)
    assert "folder/han2022/closed-form.tex" in log
    with pytest.raises(AssertionError, match="no equation nosuch/claim"):
        compiled(rf"{text}\begin{{document}}\tfeq{{nosuch/claim}}\end{{document}}", tmp_path)


def test_all_typst_citations_compile_in_one_document(every: list[citation.Citation], tmp_path: Path) -> None:
    (tmp_path / "refs.bib").write_text(citation.cite(IDS, "bibtex"))
    text = "\n".join(citation.typst(cited) for cited in every)
    references = " ".join(f"@{citation.label(cited.claim)}" for cited in every)
    source = f'#set math.equation(numbering: "(1)")\n{text}\n{references}\n#bibliography("refs.bib")\n'
    (tmp_path / "all.typ").write_text(source)
    assert typst.compile(tmp_path / "all.typ", ignore_system_fonts=True)[:5] == b"%PDF-"


@pytest.mark.parametrize("words", [["--out"], ["--format", "bibtex", "--out"], ["--notation", "nosuch", "--out"]])
def test_nothing_is_written_where_something_is_wrong(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    if words == ["--out"]:
        out.write_text("a file")
    code, text, err = run("cite", IDS[0], *words, str(out), capsys=capsys)
    assert (code, text, err.count("\n")) == (2, "", 1)
    assert not out.is_dir()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_citation_is_there_whole_or_not_at_all(
    error: BaseException, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("tightframe.papers.store.os.replace", fail)
    code, text, err = run("cite", IDS[0], "--out", str(tmp_path), capsys=capsys)
    assert code in ((2,) if isinstance(error, OSError) else (3, 130))
    assert (text, err.count("\n") <= 1) == ("", True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
