"""Citations: entries that BibTeX reads, equations that compile where they are pasted, a trail back to the evidence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import bibtexparser
import pytest
from tightframe.papers import citation, cli, formats, registry
from tightframe.papers.claim import Claim
from tightframe.papers.verification import standing
from typesetting import compiled, needs_pdflatex, too_long

IDS = list(registry.claims())


@pytest.fixture(params=IDS)
def claim(request: pytest.FixtureRequest) -> Claim:
    return registry.find(request.param)


# ---------------------------------------------------------------------------------------------- BibTeX


@pytest.mark.parametrize("key", registry.papers())
def test_entries_are_what_bibtexparser_reads(key: str) -> None:
    text = citation.bibtex(registry.paper(key))
    library = bibtexparser.parse_string(text)
    assert not library.failed_blocks
    (parsed,) = library.entries
    assert parsed.key == key
    assert {field.key: field.value for field in parsed.fields} == citation.entry(text).fields
    assert all(field.value for field in parsed.fields)
    assert {"author", "title", "year"} <= set(citation.entry(text).fields)


def test_the_entry_of_han2022_is_right() -> None:
    found = citation.entry(citation.bibtex(registry.paper("han2022")))
    assert found.kind == "inproceedings"
    assert found.fields == {
        "author": "Han, X. Y. and Papyan, Vardan and Donoho, David L.",
        "title": "Neural Collapse Under {MSE} Loss: Proximity to and Dynamics on the Central Path",
        "booktitle": "International Conference on Learning Representations",
        "year": "2022",
        "eprint": "2106.02073v4",
        "archiveprefix": "arXiv",
    }


def test_entries_name_the_version_that_claims_are_taken_from(claim: Claim) -> None:
    fields = citation.entry(citation.bibtex(registry.paper(claim.paper))).fields
    if claim.paper == citation.SOFTWARE:
        assert fields["note"] == f"Version {version('tightframe')}"
    else:
        assert fields["eprint"] == claim.version


def test_each_paper_is_entered_once() -> None:
    library = bibtexparser.parse_string(citation.cite([*IDS, *IDS], "bibtex"))
    assert not library.failed_blocks
    assert [parsed.key for parsed in library.entries] == list(registry.papers())


@pytest.mark.parametrize(
    "text", ["", "misc{key,}", "@misc{key, title = {open", "@misc{key, title = bare}", "@misc{key, a = {b}} @misc{"]
)
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry|end|fields"):
        citation.entry(text)


# ---------------------------------------------------------------------------------------------- LaTeX


def test_latex_says_what_stands_behind_the_equation(claim: Claim) -> None:
    first, title, command, begin, *_ = citation.cite([claim.id]).splitlines()
    verdict = standing(claim).verdict_text()
    assert first == f"% tightframe {version('tightframe')}: {claim.id}, hash {claim.hash}, {verdict}"
    assert claim.title in title
    place = "" if claim.locator is None else f"[{claim.locator}]"
    assert command == rf"\cite{place}{{{claim.paper}}}"
    assert begin == rf"\begin{{equation}}\label{{tf:{claim.paper}.{claim.slug}}}"
    assert claim.sharpens is None or f"generalises {claim.sharpens}" in title


def test_lemmas_are_named_beside_the_verdict() -> None:
    first = citation.cite(["han2022/central-path-loss"]).splitlines()[0]
    assert first.endswith("proved (conditional on positive definite square root, singular value decomposition)")


def test_a_known_locator_is_cited() -> None:
    claim = replace(registry.find("han2022/ls-classifier"), locator="Theorem 2")
    assert r"\cite[Theorem 2]{han2022}" in citation.latex(claim, standing(claim))


def test_labels_are_unique() -> None:
    labels = re.findall(r"\\label\{([^}]*)\}", citation.cite(IDS))
    assert labels == [f"tf:{name.replace('/', '.')}" for name in IDS]
    assert len(set(labels)) == len(labels)


@needs_pdflatex
def test_all_equations_compile_in_one_manuscript(tmp_path: Path) -> None:
    items = "".join(rf"\bibitem{{{key}}} {key}" + "\n" for key in registry.papers())
    references = " ".join(rf"\eqref{{tf:{name.replace('/', '.')}}}" for name in IDS)
    text = (
        f"{formats.PREAMBLE}\\begin{{document}}\n{citation.cite(IDS)}\n{references}\n"
        f"\\begin{{thebibliography}}{{9}}\n{items}\\end{{thebibliography}}\n\\end{{document}}\n"
    )
    log = compiled(text, tmp_path, runs=2)
    assert not too_long(log)
    assert "LaTeX Warning" not in log, "an undefined or doubled label or citation"


# ---------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("form", citation.FORMATS)
def test_every_claim_in_every_format(claim: Claim, form: str) -> None:
    text = citation.cite([claim.id], form)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    if form != "bibtex":
        assert claim.hash in text
        assert claim.id in text
    if form == "markdown":
        assert text.count("$$") % 2 == 0
        assert citation.reference(registry.paper(claim.paper)) in text


def test_json_has_the_documented_keys() -> None:
    found = json.loads(citation.cite(IDS, "json"))
    keys = ("id", "hash", "verdict", "conditional_on", "key", "label", "latex", "bibtex")
    assert [entry["id"] for entry in found] == IDS
    assert all(tuple(entry) == keys for entry in found)
    assert all(entry["latex"] == citation.cite([entry["id"]]) for entry in found)


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_prints_citations(capsys: pytest.CaptureFixture[str]) -> None:
    for words, expected in (
        (IDS[:2], citation.cite(IDS[:2])),
        ([IDS[0], "--format", "bibtex"], citation.cite(IDS[:1], "bibtex")),
        ([IDS[0], "--json"], citation.cite(IDS[:1], "json")),
    ):
        assert run("cite", *words, capsys=capsys) == (0, expected, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Missing argument"),
        (["han2022/ls-classifier", "nonsense"], "no claim is called 'nonsense'"),
        (["ls-classifier"], "the nearest is han2022/ls-classifier"),
        (["han2022/ls-classifier", "--format", "word"], "expected one of latex, bibtex, markdown, json"),
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
