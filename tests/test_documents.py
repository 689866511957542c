"""Derivations as documents: complete, true to what the checker accepted, and typeset without a line too long."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import golden
import pytest
import sympy as sp
import typst
from tightframe.papers import cli, prose, registry, terminal
from tightframe.papers.claim import Claim
from tightframe.papers.store import shipped_certificate
from tightframe.papers.verification import standing
from tightframe.papers.writing import conversion, documents, formats, layout
from tightframe.papers.writing.notation import abbreviated, load
from tightframe.theory.abbreviations import Folding, needed
from tightframe.theory.derivation import Derivation, Step
from tightframe.theory.printing import latex
from tightframe.theory.proof.statement import Equal, Statement
from tightframe.theory.symbols import C, N, p
from typesetting import compiled, needs_pdflatex, too_long

IDS = [name for name, claim in registry.claims().items() if claim.derive is not None]


@pytest.fixture(params=IDS)
def claim(request: pytest.FixtureRequest) -> Claim:
    return registry.find(request.param)


@cache
def composed(name: str) -> formats.Document:
    return documents.compose(registry.find(name))


def steps(claim: Claim) -> tuple[Step, ...]:
    assert claim.derivation is not None
    return claim.derivation.steps


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_a_document_has_every_part(claim: Claim, form: str) -> None:
    text = formats.FORMATS[form](composed(claim.id))
    total = len(steps(claim))
    assert f"{total} of {total} steps machine-checked" in text
    assert f"Verdict: {claim.recorded}" in text
    assert claim.statement_latex().split()[0].removeprefix(r"\left(") in text  # the size of brackets is the layout's
    assert claim.hash in text
    assert all(rf"\tag{{{i}}}" in text for i in range(1, total + 1))
    assert all(rf"\tag{{H{i}}}" in text for i in range(1, len(claim.setting.hypotheses) + 1))
    assert "not machine-checked" not in text
    assert registry.paper(claim.paper).title in text
    if claim.version:
        assert f"arXiv:{claim.version}" in text
    for step in steps(claim):
        assert all(piece.text.strip(" ") in text for piece in prose.pieces(f"{step.name}.", claim.names))
        words = [piece.text for piece in prose.pieces(step.because) if not piece.formula and piece.text.isalpha()]
        assert all(word in text for word in words)


class Page(HTMLParser):
    """What an HTML page shows, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {"src", "href", "onload", "onclick"} & {name for name, _ in attrs}
        if tag not in ("meta", "br", "mspace"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "mspace":
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def displays(document: formats.Document) -> list[formats.Display]:
    return [part for part in document.blocks if isinstance(part, formats.Display)]


def test_a_page_is_one_file_with_mathml_and_nothing_else(claim: Claim) -> None:
    document = composed(claim.id)
    text = formats.html(document)
    page = Page(text)
    assert page.open == []
    assert not {"script", "link", "img", "iframe", "object", "merror"} & set(page.tags)
    assert "http" not in text
    assert text.count('<math display="block">') == len(displays(document))
    total = len(steps(claim))
    words = " ".join(page.words.split())
    assert f"{total} of {total} steps machine-checked" in words
    assert f"Verdict: {claim.recorded}" in words
    assert terminal.sentence(claim.title) in words
    assert claim.hash in words
    assert all(f"({part.tag})" in words for part in displays(document) if part.tag)
    assert all(f"Step {number}: " in words for number in range(1, total + 1))


# Every displayed formula is measured, and must not be wider than the page.
MEASURED = """
#show math.equation.where(block: true): it => layout(size => {
  let wide = measure($display(#it.body)$).width
  assert(wide <= size.width - MARGIN, message: repr(wide))
  it
})
"""


def measured(source: str, margin: str = "0pt") -> bytes:
    head, body = source.split("\n\n", 1)
    return conversion.pdf(f"{head}{MEASURED.replace('MARGIN', margin)}\n{body}")


def test_a_pdf_has_no_formula_wider_than_the_page(claim: Claim, tmp_path: Path) -> None:
    assert measured(formats.typst(composed(claim.id))).startswith(b"%PDF-")


def test_a_formula_wider_than_the_page_is_seen() -> None:
    wide = " + ".join(f"a_({i})" for i in range(60))
    source = f"{formats.TYPST.format(title=repr('x').replace(chr(39), chr(34)))}\n\n$ {wide} $"
    with pytest.raises(typst.TypstError):
        measured(source)


def test_a_pdf_is_the_same_each_time() -> None:
    name = "han2022/total-covariance"
    first = documents.document_pdf(name)
    assert first == documents.document_pdf(name)
    assert first.startswith(b"%PDF-")


READ = ("han2022/ls-classifier", "dang2023/scalar-minimiser", "garrod2025/dnc-suboptimal")


def test_documents_are_as_they_were_read(claim: Claim) -> None:
    """Three derivations whole, of the others a digest in each format; `make golden` remakes them."""
    found = {form: write(composed(claim.id)) for form, write in formats.FORMATS.items()}
    if claim.id in READ:
        golden.compare(f"{claim.id.replace('/', '.')}.md", found["markdown"])
    digests = {form: hashlib.sha256(golden.plain(text).encode()).hexdigest()[:16] for form, text in found.items()}
    golden.compare(f"derivations/{claim.id}.json", json.dumps(digests, indent=1) + "\n")


# ---------------------------------------------------------------------------------------------- values of parameters


def test_values_are_put_into_every_formula() -> None:
    text = documents.document("dang2023/balanced-of", "markdown", values={"K": "4", "M": 2})
    formulas = "".join(re.findall(r"\$\$.*?\$\$", text, re.DOTALL))
    assert r"\frac{1}{8 n} \lVert W H - Y \rVert_F^2" in formulas
    assert "x^{2}" in formulas
    assert not re.search(r"(?<![A-Za-z\\{])[KM](?![A-Za-z])", formulas), "only the index of lambda_M is left"
    assert "Specialised to $M = 2$, $K = 4$" in text
    assert "what is checked is the claim for all values" in text
    assert "number of classes" not in text
    assert r"A \in \mathbb{R}^{4 \times a}" in text


def test_values_choose_the_part_of_a_domain_that_is_left() -> None:
    text = documents.document("garrod2025/dnc-suboptimal", values={"m": 2})
    formulas = "".join(re.findall(r"\$\$.*?\$\$", text, re.DOTALL))
    assert r"\text{for } L \ge 3" in formulas
    assert "L = 2" not in formulas


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"Q": 2}, "unknown name 'Q'; known: M, K"),
        ({"K": 0}, "expected an integer >= 2"),
        ({"K": "5/2"}, "expected an integer"),
        ({"K": "1,2"}, "expected an integer"),
    ],
)
def test_values_outside_the_domain_are_refused(values: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        documents.document("dang2023/balanced-of", values=values)


def test_a_variable_that_the_statement_binds_cannot_be_set() -> None:
    with pytest.raises(ValueError, match="w is the variable of the statement"):
        documents.document("han2022/growth", values={"w": 2})


def test_conditions_between_values_must_hold() -> None:
    with pytest.raises(ValueError, match="the claim needs"):
        documents.document("han2022/snr-flow", values={"C": 4, "p": 2})


def test_hypotheses_are_marked_as_the_checker_reports_them(claim: Claim) -> None:
    document = composed(claim.id)
    report = documents.checked(claim, standing(claim)).report
    assert report is not None
    shown = [part.spans for part in document.blocks if isinstance(part, formats.Paragraph)]
    named = [spans for spans in shown if spans[0].text.startswith("(H")]
    marks = {spans[0].text: next(span.text for span in spans if "used): " in span.text) for spans in named}
    expected = [f" ({'used' if used else 'not used'}): " for _, _, used in report.hypotheses]
    assert list(marks.values()) == expected


def test_the_premises_of_a_step_are_named_by_number() -> None:
    text = documents.document("han2022/ls-classifier")
    assert "*[shift; uses (H4), (3)]*" in text
    assert "*[rewrite; uses (1), (2)]*" in text
    assert "*[minimum; uses (4), (8)]*" in text


def test_premises_found_in_a_certificate_are_those_that_the_checker_counts(claim: Claim) -> None:
    found = documents.checked(claim, standing(claim))
    assert found.report is not None
    used = {name for name, _, flag in found.report.hypotheses if flag}
    hypotheses = {hypothesis.name for hypothesis in claim.setting.hypotheses}
    named = {name for step in steps(claim) for name in found.uses(step.name)}
    assert named & hypotheses >= used
    order = [*hypotheses, *(step.name for step in steps(claim))]
    for step in steps(claim):  # nothing rests on what comes later
        assert all(name in hypotheses or order.index(name) < order.index(step.name) for name in found.uses(step.name))


# ---------------------------------------------------------------------------------------------- what is counted


def changed(claim: Claim, says: Statement, at: int) -> Claim:
    """The claim with one step of its derivation saying something else."""
    assert claim.derivation is not None
    every = [*steps(claim)]
    every[at] = replace(every[at], says=says)
    derivation = Derivation(claim.derivation.title, claim.setting, tuple(every))
    return replace(claim, derive=lambda: derivation)


def test_a_false_step_and_those_after_it_are_not_counted() -> None:
    claim = registry.find("han2022/total-covariance")
    says: Any = steps(claim)[-1].says
    text = documents.document(changed(claim, replace(says, right=2 * says.right), -1))
    assert "1 of 2 steps machine-checked" in text
    assert text.count("not machine-checked") == 1
    says = steps(claim)[0].says
    text = documents.document(changed(claim, replace(says, left=says.left + says.left), 0))
    assert "2 of 2 steps machine-checked" in text, "twice zero is zero: another proof is made"
    features: Any = claim.setting.hypotheses[0].statement
    text = documents.document(changed(claim, replace(features, right=2 * features.right), 0))
    assert "0 of 2 steps machine-checked" in text
    assert text.count("not machine-checked") == 2


def test_a_certificate_of_other_steps_does_not_count(claim: Claim) -> None:
    assert claim.derivation is not None
    certificate: Any = shipped_certificate(claim.id)  # which tests/test_claims.py compares with the derivation
    assert documents.proves_steps(claim.derivation, certificate)
    every = steps(claim)
    for place in {0, len(every) // 2, len(every) - 1}:
        without = [entry for entry in certificate["steps"] if entry["name"] != every[place].name]
        assert not documents.proves_steps(claim.derivation, {**certificate, "steps": without})
    for change in ({"statement": {"kind": "other"}}, {"rule": "other"}):
        altered = [entry | change if entry["name"] == steps(claim)[0].name else entry for entry in certificate["steps"]]
        assert not documents.proves_steps(claim.derivation, {**certificate, "steps": altered})


def test_a_claim_without_certificate_is_proved_on_the_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tightframe.papers.verification.shipped_certificate", lambda name: None)
    text = documents.document("han2022/total-covariance")
    assert "2 of 2 steps machine-checked.** Verdict: proved." in text
    assert "made just now" in text


def test_a_claim_without_derivation_says_so() -> None:
    claim = replace(registry.find("han2022/total-covariance"), derive=None)
    assert "No derivation is registered." in documents.document(claim, "latex")
    assert shipped_certificate(claim.id) is not None


# ---------------------------------------------------------------------------------------------- abbreviations


def test_folding_abbreviations_changes_no_statement(claim: Claim) -> None:
    definitions = abbreviated(claim).definitions
    folding = Folding(definitions, claim.setting.symmetric)
    translation = claim.setting.translation()[0].redefined(definitions)
    translation.statement(claim.statement)
    for hypothesis in claim.setting.hypotheses:
        folded = folding.statement(hypothesis.statement)
        assert translation.statement(folded) == translation.statement(hypothesis.statement)
    for step in steps(claim):
        step.by.prepare(translation, step.says)
        assert translation.statement(folding.statement(step.says)) == translation.statement(step.says)


def test_abbreviations_are_found_in_rearranged_products() -> None:
    claim = registry.find("han2022/ls-decomposition")
    folding = Folding(claim.setting.definitions, claim.setting.symmetric)
    assert folding.statement(steps(claim)[-1].says).latex() == claim.statement_latex()
    H, Y = sp.MatrixSymbol("H", p, C * N), sp.MatrixSymbol("Y", C, C * N)
    M, S = sp.MatrixSymbol("M", p, C), sp.MatrixSymbol("S", p, p)
    folding = Folding({M: H * Y.T / N, S: H * H.T / N})
    assert latex(folding.expression(Y * H.T / (C * N))) == r"\frac{1}{C} M^{\top}"
    assert latex(folding.expression(H * Y.T)) == r"H Y^{\top}", "not N M"
    assert latex(folding.expression(sp.Trace((H * H.T) ** 2) / N**2)) == r"\operatorname{tr}\left\{S^{2}\right\}"


def test_an_equation_is_not_folded_into_a_tautology() -> None:
    H, S = sp.MatrixSymbol("H", p, N), sp.MatrixSymbol("S", p, p)
    folded = Folding({S: H * H.T / N}).statement(Equal(S, H * H.T / N))
    assert folded.latex() == r"S = \frac{1}{N} H H^{\top}"


def test_only_the_definitions_in_use_are_shown() -> None:
    claim = registry.find("han2022/ls-classifier")
    names = [prose.plain_name(name) for name in needed(claim.setting.definitions, (claim.statement,))]
    assert names == ["M", "mu_G", "Sigma_T", "L", "W_LS", "L_LS"]


A, B = sp.MatrixSymbol("A", p, p), sp.MatrixSymbol("B", p, p)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (sp.MatMul(A, A, B), "A^{2} B"),
        (sp.MatMul(sp.Inverse(A + B), sp.Inverse(A + B)), r"\left(A + B\right)^{-2}"),
        (N * sp.Identity(p) + A * B + B, r"B + A B + N I_{p}"),
        (A * B - B / (C * N), r"A B - \frac{1}{C N} B"),
        ((A - B) * (A - B).T / N, r"\frac{1}{N} \left(A - B\right) \left(A - B\right)^{\top}"),
        (sp.Trace(A * A.T) + sp.Trace((A - B) * (A - B).T), r"\lVert A - B \rVert_F^2 + \lVert A \rVert_F^2"),
        (sp.Trace((A - B / N) * (A - B / N).T), r"\left\lVert A - \frac{1}{N} B \right\rVert_F^2"),
        (1 - sp.Trace(A), r"1 - \operatorname{tr}\left\{A\right\}"),
        (sp.Or(sp.Gt(N, 1), sp.Gt(C, 1)), r"C > 1 \text{ or } N > 1"),
        (sp.MatrixSymbol(r"\Sigma_W(X)", p, p), r"\Sigma_W(X)"),
    ],
)
def test_expressions_print_as_the_field_writes_them(expression: Any, expected: str) -> None:
    assert latex(expression) == expected


# ---------------------------------------------------------------------------------------------- sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A sum of squares is a square.", "A sum of squares is a square."),
        ("A is invertible, so A^{-1} exists.", r"$A$ is invertible, so $A^{-1}$ exists."),
        ("A psd matrix plus lambda I", r"A psd matrix plus $\lambda I$"),
        ("sum to zero: H Y^T = M Delta.", r"sum to zero: $H Y^{\top} = M \Delta$."),
        ("1^T 1 = C, so (11^T/C)^2 = 11^T/C.", None),
        ("an NC1 part and an NC2/3 part", "an NC1 part and an NC2/3 part"),
        ("at W_LS, b_LS (p >= C - 1; it has)", r"at $W_{\mathrm{LS}}$, $b_{\mathrm{LS}}$ ($p \ge C - 1$; it has)"),
        ("the map (W, b) comes from W A", "the map $(W, b)$ comes from $W A$"),
        ("one-hot rows; the least-squares loss", "one-hot rows; the least-squares loss"),
        ("||W H - Y||_F^2 = 2 tr{W W^T}.", r"$\lVert W H - Y \rVert_{F}^{2} = 2 \operatorname{tr} \{W W^{\top}\}$."),
    ],
)
def test_formulas_are_found_in_sentences(text: str, expected: str | None) -> None:
    found = "".join(f"${piece.text}$" if piece.formula else piece.text for piece in prose.pieces(text))
    if expected is None:
        assert found.count("$") == 4
        assert r"\mathbf{1}" in found
    else:
        assert found == expected


def test_every_word_of_a_sentence_is_kept(claim: Claim) -> None:
    sentences = [step.because for step in steps(claim)] + [h.says for h in claim.setting.hypotheses]
    for sentence in sentences:
        for piece in prose.pieces(sentence):
            if not piece.formula:
                assert piece.text in sentence
            else:
                assert piece.text.count("{") == piece.text.count("}")
                assert piece.text.count("(") == piece.text.count(")")


# ---------------------------------------------------------------------------------------------- line breaks


@cache
def long_formulas() -> tuple[str, ...]:
    """Every step written out, longer than any reader would want it."""
    return tuple(dict.fromkeys(step.says.latex() for name in IDS for step in steps(registry.find(name))))


@pytest.mark.parametrize("line", [layout.LINE, 40.0, 15.0])
def test_broken_lines_are_complete(line: float) -> None:
    for formula in long_formulas():
        rows = layout.broken(formula, line)
        for row in rows:
            assert row.count("{") - row.count(r"\{") == row.count("}") - row.count(r"\}")
            assert row.count(r"\left") == row.count(r"\right")
        if len(rows) > 1:
            assert all(len(re.findall(r"(?<!\\)&", row)) == 1 for row in rows)
        joined = " ".join(rows).replace("&", "").replace(r"\quad", "").replace("Bigl", "left").replace("Bigr", "right")
        whole = formula.replace(r"\quad", "").replace(layout.AND, ",")  # a comma at the end of a row
        assert "".join(joined.replace(layout.AND, ",").split()) == "".join(whole.split())


def test_short_formulas_stay_on_one_line() -> None:
    assert layout.broken(r"\Sigma_T = \Sigma_B + \Sigma_W") == (r"\Sigma_T = \Sigma_B + \Sigma_W",)


@needs_pdflatex
def test_formulas_written_out_fit_on_the_page(tmp_path: Path) -> None:
    shown = [part for part in long_formulas() if layout.width(part) > layout.LINE]
    assert shown
    rows = (" \\\\\n".join(layout.broken(part)) for part in shown)
    body = "".join(
        f"\\begin{{equation*}}\\begin{{aligned}}\n{row}\n\\end{{aligned}}\\end{{equation*}}\n" for row in rows
    )
    log = compiled(f"{formats.PREAMBLE}\\begin{{document}}\n{body}\\end{{document}}\n", tmp_path)
    assert not too_long(log)


@needs_pdflatex
def test_a_derivation_compiles_as_it_is(claim: Claim, tmp_path: Path) -> None:
    log = compiled(formats.latex(composed(claim.id)), tmp_path)
    assert not too_long(log)
    assert "LaTeX Warning" not in log


@needs_pdflatex
def test_all_derivations_compile_in_one_document(tmp_path: Path) -> None:
    bodies = "\\clearpage\n".join(formats.latex_body(composed(name)) for name in IDS)
    log = compiled(f"{formats.PREAMBLE}\\begin{{document}}\n{bodies}\\end{{document}}\n", tmp_path)
    assert not too_long(log)


@needs_pdflatex
def test_a_line_that_is_too_long_is_seen(tmp_path: Path) -> None:
    wide = " + ".join(f"a_{{{i}}}" for i in range(60))
    text = rf"{formats.PREAMBLE}\begin{{document}}\begin{{equation*}}{wide}\end{{equation*}}\end{{document}}"
    assert too_long(compiled(text, tmp_path))


def test_special_characters_are_escaped() -> None:
    title = (formats.Span("50% & more_"),)
    document = formats.Document(title, "50% & more_", (formats.Span("a_b # {c} ~ ^ \\ <x>"),), ())
    text = formats.latex(document)
    assert r"50\% \& more\_" in text
    assert r"a\_b \# \{c\} \textasciitilde{} \textasciicircum{} \textbackslash{} \textless{}x\textgreater{}" in text
    assert formats.markdown(document).startswith("# 50% & more\\_")


# ---------------------------------------------------------------------------------------------- sentences with formulas


def test_no_formula_in_a_title_or_a_description_is_left_in_plain_text(claim: Claim) -> None:
    said = [claim.title, *(parameter.says for parameter in claim.domain.parameters)]
    said += [part for each in claim.setting.hypotheses for part in (each.name, each.says)]
    for sentence in said:
        words = "".join(piece.text for piece in prose.pieces(sentence, claim.names) if not piece.formula)
        assert not re.search(r"[\^_<>]|>=|\blam\b|\b(?:alpha|beta|gamma|lambda|mu)\b", words), (sentence, words)


def test_formulas_in_titles_are_typeset_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    name = "garrod2025/dnc-scale"
    document = composed(name)
    tex = r"\lambda n^{1/(L+1)} = \alpha^{(L-1)/(L+1)} / (e^{\alpha} + K - 1)"
    assert f"iff ${tex}$" in formats.markdown(document).splitlines()[0]
    assert rf"\section*{{\boldmath Neural collapse is critical iff ${tex}$}}" in formats.latex(document)
    assert "\n= Neural collapse is critical iff $lambda n^(1 slash (L + 1))" in formats.typst(document)
    page = formats.html(document)
    assert re.search("<h1>Neural collapse is critical iff <math>.*</math></h1>", page)
    plain = "Neural collapse is critical iff λ n^(1/(L+1)) = α^((L-1)/(L+1)) / (e^α + K - 1)"
    assert f"<title>{plain}</title>" in page
    assert run("show", name, capsys=capsys)[1].splitlines()[0] == f"{name}  {plain}"


def test_a_terminal_without_unicode_gets_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "tightframe.papers.cli", "show", "garrod2025/dnc-scale"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert b"critical iff lam n^(1/(L+1))" in done.stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("A Gram matrix.", []),
        ("With a free bias a layer is a frame, a > 0.", ["a > 0"]),
        ("a product of rank d", ["d"]),
        ("(k-j)(h-l)^T is not M-th", [r"(k - j) (h - l)^{\top}"]),
        ("like -log lam, of e^(-mu t)", [r"- \log \lambda", r"e^{-\mu t}"]),
        ("sum_i s_i^2 over I - 1 1^T/K", [r"\textstyle\sum_{i} s_{i}^{2}", r"I - \mathbf{1} \mathbf{1}^{\top} / K"]),
        ("x^((L+1)/(2 (L-1)))", [r"x^{(L+1)/(2(L-1))}"]),
    ],
)
def test_sentences(text: str, formulas: list[str]) -> None:
    found = [piece.text for piece in prose.pieces(text, {"a": "a", "d": "d"}) if piece.formula]
    assert [re.sub(r"(?<=[({]2) ", "", each) for each in found] == formulas


# ---------------------------------------------------------------------------------------------- notations


@pytest.mark.parametrize(("name", "letters"), [("dang2023/balanced-of", "han2022"), ("han2022/snr-flow", "garrod2025")])
def test_a_derivation_in_another_notation_says_what_is_cited_in_it(name: str, letters: str) -> None:
    claim, notation = registry.find(name), load(letters)
    document = documents.compose(claim, notation=notation)
    said = next(block.rows for block in document.blocks if isinstance(block, formats.Display))
    mine = next(block.rows for block in composed(name).blocks if isinstance(block, formats.Display))
    letter = {"han2022": "C", "garrod2025": "K"}[letters]
    assert said != mine
    assert re.search(rf"(?<![A-Za-z]){letter}(?![A-Za-z])", "".join(said))
    formulas = [span.text for block in document.blocks for span in spans_of(block) if span.style == "formula"]
    formulas += [row for block in document.blocks if isinstance(block, formats.Display) for row in block.rows]
    old = {"han2022": "K", "garrod2025": "C"}[letters]
    left = [text for text in formulas if re.search(rf"(?<![A-Za-z\\]){old}(?![A-Za-z])", text)]
    assert not left


def spans_of(block: formats.Block) -> Iterator[formats.Span]:
    if isinstance(block, formats.Paragraph):
        yield from block.spans
    elif isinstance(block, formats.Items):
        yield from (span for item in block.items for span in item)


@needs_pdflatex
def test_a_derivation_in_another_notation_compiles(tmp_path: Path) -> None:
    text = documents.document("dang2023/balanced-of", "latex", values={"M": "2"}, notation=load("garrod2025"))
    assert "$L = 2$" in text
    assert not too_long(compiled(text, tmp_path))


# ---------------------------------------------------------------------------------------------- the command


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_derive_prints_writes_and_gives_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    name = "han2022/total-covariance"
    code, text, err = run("derive", name, capsys=capsys)
    assert (code, err) == (0, "")
    assert text == documents.document(name)
    out = tmp_path / "new" / "derivation.tex"
    code, nothing, err = run("derive", name, "--format", "latex", "--out", str(out), capsys=capsys)
    assert (code, nothing, err) == (0, "", "")
    assert out.read_text() == documents.document(name, "latex")
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    _, text, _ = run("derive", name, "--json", capsys=capsys)
    assert json.loads(text) == {"claim": name, "format": "markdown", "text": documents.document(name)}


def bad_inputs(tmp_path: Path) -> list[tuple[list[str], str]]:
    (tmp_path / "file").write_text("")
    (tmp_path / "clash.toml").write_text('C = "K"\nN = "K"\n')
    known = ["derive", "han2022/total-covariance"]
    return [
        (["derive"], "expected the ID of a claim, or --paper KEY"),
        (["derive", "han2022/total-covarianc"], "the nearest is han2022/total-covariance"),
        ([*known, "--format", "word"], "unknown format 'word'; expected one of markdown, latex, typst, html, pdf"),
        ([*known, "--format", "pdf", "--json"], "a PDF goes to a file"),
        ([*known, "--set", "C"], "expected --set name=value"),
        ([*known, "--out", str(tmp_path)], "cannot write"),
        ([*known, "--out", str(tmp_path / "file" / "x.tex")], "cannot write"),
        (["derive", "--paper", "han2022", "--notation", "dang2023"], "--notation is for one claim"),
        ([*known, "--notation", "wang2024"], "no notation is called 'wang2024'"),
        ([*known, "--notation", str(tmp_path / "clash.toml")], "C and N would both be K"),
    ]


@pytest.mark.parametrize("number", range(10))
def test_bad_input_is_one_line_and_exit_code_2(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = bad_inputs(tmp_path)[number]
    code, out, err = run(*words, capsys=capsys)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert expected in err


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_no_file_is_left_half_written(
    error: BaseException, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    old = tmp_path / "derivation.md"
    old.write_text("old")
    monkeypatch.setattr(Path, "replace", fail)
    code, out, err = run("derive", "han2022/total-covariance", "--out", str(old), capsys=capsys)
    assert code in ((2,) if isinstance(error, OSError) else (3, 130))
    assert out == ""
    assert err.count("\n") <= 1
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


def test_documents_and_citations_need_no_torch() -> None:
    script = (
        "import sys; from tightframe.papers import cli\n"
        "codes = [cli.main([verb, 'han2022/ls-decomposition']) for verb in ('derive', 'cite')]\n"
        "print(codes, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[0, 0] False", done.stderr
