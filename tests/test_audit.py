"""The audit of manuscripts: what cite writes is read back, what is corrupted is never called the same."""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp
from audit_corpus import CORPUS, SAME
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.special import OneMatrix
from tightframe.papers import cli, registry
from tightframe.papers.reading import latex_reader, manuscript
from tightframe.papers.reading.auditing import TOO_LOW, Audit, audit
from tightframe.papers.reading.equality import Comparison
from tightframe.papers.reading.latex_tokens import Unreadable, canonical, raw
from tightframe.papers.reading.normal_forms import Incomparable
from tightframe.papers.reading.symbol_table import Subject, subject, table
from tightframe.papers.verification import standing
from tightframe.papers.writing import citation, notation
from tightframe.theory.proof import statement as st

pytest.importorskip("lark")

IDS = list(registry.claims())
# The grammar has no bounds on ratios of solutions; and 16 2^{L-2}, printed without a dot, is set as 162^{L-2}.
NOT_READ = {"han2022/equalisation", "han2022/collapse-limit"}


def document(*pieces: str, preamble: str = "") -> str:
    body = "\n".join(pieces)
    return f"\\documentclass{{article}}\n{preamble}\\begin{{document}}\n{body}\n\\end{{document}}\n"


def labelled(claim: str, formula: str, environment: str = "equation") -> str:
    label = f"\\label{{tf:{claim.replace('/', '.')}}}"
    return f"\\begin{{{environment}}}{label}\n{formula}\n\\end{{{environment}}}"


@pytest.fixture
def audited(tmp_path: Path) -> Any:
    def of(*pieces: str, preamble: str = "", letters: str | None = None, **files: str) -> Audit:
        path = tmp_path / "paper.tex"
        path.write_text(document(*pieces, preamble=preamble), "utf-8")
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(text, "utf-8")
        return audit(path, None if letters is None else notation.load(letters))

    return of


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli.main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# ---------------------------------------------------------------------------------------------- the round trip


@pytest.mark.parametrize("letters", [None, *notation.shipped()])
def test_what_cite_writes_is_read_back(letters: str | None, audited: Any) -> None:
    every = IDS if letters is None else IDS[len(letters) % 3 :: 3]
    text = citation.cite(every, notation=None if letters is None else notation.load(letters))
    found = audited(text, letters=letters)
    assert [each.claim for each in found.equations] == every
    for each in found.equations:
        claim = registry.find(each.claim)
        expected = (
            "unread" if each.claim in NOT_READ else "unverified" if standing(claim).verdict in TOO_LOW else "same"
        )
        assert (each.claim, each.finding, each.detail if expected == "same" else "") == (each.claim, expected, "")
    assert not found.citations


def test_files_of_cite_are_followed(tmp_path: Path) -> None:
    citation.save(["han2022/growth", "dang2023/balancedness"], tmp_path / "tf")
    path = tmp_path / "paper.tex"
    path.write_text(document(r"\tfeq{han2022/growth}", preamble="\\usepackage{tf/tightframe}\n"), "utf-8")
    (found,) = audit(path).equations
    assert (found.claim, found.finding) == ("han2022/growth", "same")
    assert found.place.file == (tmp_path / "tf/han2022/growth.tex").as_posix()


# ---------------------------------------------------------------------------------------------- the corpus


def test_the_corpus_is_judged_as_it_should_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(CORPUS) >= 60
    path = tmp_path / "corpus.tex"
    path.write_text(document(*(labelled(claim, formula) for claim, formula, _ in CORPUS)), "utf-8")
    code, out, _ = run("audit", str(path), capsys=capsys)
    assert code == 1
    *lines, last = out.splitlines()
    for (claim, formula, wanted), line in zip(CORPUS, lines, strict=True):
        finding = line.split(": ")[2]
        assert (claim, formula, finding) == (claim, formula, wanted)
    assert last.endswith("unread: 9%")
    right = [formula for _, formula, wanted in CORPUS if wanted == SAME]
    assert len(right) >= 30


@pytest.mark.parametrize(
    ("claim", "formula", "words"),
    [
        ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B - \tilde\Sigma_W", "Sigma}_W by its sign"),
        ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B + 2\tilde\Sigma_W", "by the factor 2"),
        ("han2022/total-covariance", r"\tilde\Sigma_T = \tilde\Sigma_B", "Sigma}_W is missing"),
        ("dang2023/balanced-of", r"WW^\top = \lambda_H n x^M I_K", "right side by the factor 1/K"),
        ("dang2023/layerwise", r"\frac1n H Y^\top = \frac{1}{K\lambda_H n + p} W", "sizes"),
        ("garrod2025/schatten", r"UBP^\top PR^\top Q^\top = UBRQ^\top", ""),
        ("garrod2025/schatten", r"UBP^\top P^\top RQ^\top = UBRQ^\top", "sizes"),
        ("garrod2025/dnc-suboptimal", r"2m-1 > m 2^{2/(L+1)}", "the condition is missing: m \\ge 2"),
        ("tightframe/one-layer-collapse", r"\omega s^2 Q^\top QY = \omega s Y", ""),
    ],
)
def test_it_says_what_differs(claim: str, formula: str, words: str, audited: Any) -> None:
    (found,) = audited(labelled(claim, formula)).equations
    assert words in found.detail


def test_a_transpose_is_named(audited: Any) -> None:
    wrong = labelled("garrod2025/schatten", r"UB^\top P^\top PRQ^\top = UBRQ^\top")
    (found,) = audited(wrong).equations
    assert (found.finding, found.detail) == ("differs", "the term U B P^T P R Q^T by a transpose")


# ---------------------------------------------------------------------------------------------- systematic corruption


def numeric(expr: Any, values: dict[Any, Any]) -> Any:
    """The value of a sympy expression in numpy: an oracle that knows no normal form."""

    def of(part: Any) -> Any:
        return numeric(part, values)

    if expr in values:
        return values[expr]
    if isinstance(expr, sp.Number):
        return float(expr)
    if isinstance(expr, sp.Add | sp.MatAdd):
        return sum((of(part) for part in expr.args[1:]), of(expr.args[0]))
    if isinstance(expr, sp.MatMul):
        total = of(expr.args[0])
        for part in expr.args[1:]:
            other = of(part)
            total = total @ other if np.ndim(total) and np.ndim(other) else total * other
        return total
    if isinstance(expr, sp.Mul):
        return float(np.prod([of(part) for part in expr.args]))
    if isinstance(expr, sp.Inverse):
        return np.linalg.inv(of(expr.arg))
    if isinstance(expr, sp.MatPow):
        return np.linalg.matrix_power(of(expr.base), int(expr.exp))
    if isinstance(expr, sp.Pow):
        return of(expr.base) ** of(expr.exp)
    if isinstance(expr, sp.Transpose):
        return of(expr.arg).T
    if isinstance(expr, sp.Trace):
        return float(np.trace(of(expr.arg)))
    if isinstance(expr, sp.Identity):
        return np.eye(round(of(expr.shape[0])))
    if isinstance(expr, OneMatrix):
        return np.ones([round(of(size)) for size in expr.shape])
    if isinstance(expr, sp.ZeroMatrix):
        return np.zeros([round(of(size)) for size in expr.shape])
    if isinstance(expr, DiagMatrix):
        return np.diag(of(expr.args[0])[:, 0])
    if isinstance(expr, MatrixElement):
        return of(expr.parent)[round(of(expr.i)), round(of(expr.j))]
    if isinstance(expr, sp.Sum):
        index, low, high = expr.limits[0]
        steps = range(round(of(low)), round(of(high)) + 1)
        return sum(numeric(expr.function, {**values, index: i}) for i in steps)
    if isinstance(expr, sp.exp | sp.log):
        return (np.exp if isinstance(expr, sp.exp) else np.log)(of(expr.args[0]))
    raise NotImplementedError(str(expr))


def drawn(about: Subject, expressions: list[Any], rng: np.random.Generator) -> dict[Any, Any]:
    values: dict[Any, Any] = {}
    for symbol, bounds in about.parameters.items():
        low = float(bounds.low or 0)
        values[symbol] = int(low) + int(rng.integers(1, 4)) if bounds.integer else low + float(rng.uniform(0.5, 2.0))
    for expr in expressions:
        for symbol in sorted(expr.atoms(sp.MatrixSymbol), key=str):
            if symbol not in values:
                size = [round(numeric(length, values)) for length in symbol.shape]
                entries = rng.normal(size=size)
                values[symbol] = entries + entries.T if symbol in about.symmetric else entries
    return values


def proportional(about: Subject, part: Any, relation: Any, rng: np.random.Generator) -> bool:
    """Whether two equations are one, up to a factor, at random values of all symbols."""
    meanings = dict(about.definitions)

    def written_out(expr: Any) -> Any:
        for _ in range(len(meanings) + 1):
            expr = expr.xreplace(meanings)
        return expr

    sides = [written_out(side) for side in (part.left, part.right, relation.left, relation.right)]
    ratios: list[float] = []
    for _ in range(2):
        values = drawn(about, sides, rng)
        a, b, c, d = (np.asarray(numeric(side, values), dtype=float) for side in sides)
        ours, theirs = a - b, c - d
        versions = [theirs, theirs.T] if theirs.ndim else [theirs]
        scale = max(1.0, *(float(np.abs(x).max()) for x in (a, b, c, d)))
        if np.abs(ours).max() <= 1e-9 * scale:  # the claim equates two forms of one expression: so must this, of it
            if not np.allclose(theirs, 0, atol=1e-8 * scale) or not any(np.allclose(c, x * a) for x in (1, -1)):
                return False
            continue
        for version in versions:
            if version.shape != ours.shape:
                continue
            ratio = float(np.vdot(ours, version) / np.vdot(ours, ours))
            if np.allclose(version, ratio * ours, atol=1e-7 * scale, rtol=1e-7):
                ratios.append(ratio)
                break
        else:
            return False
    return all(abs(ratio) > 1e-12 for ratio in ratios)


def corrupted(formula: str, rng: random.Random, count: int) -> list[str]:
    """The formula with one token changed: coefficients, signs, transposes, symbols, exponents, terms, relations."""
    tokens = [token.text for token in raw(formula)]
    letters = sorted({token for token in tokens if len(token) == 1 and token.isalpha()})
    found: list[list[str]] = []
    for i, token in enumerate(tokens):
        options: list[list[str]] = []
        if token.isdigit():
            options = [[str(int(token) + 1)]]
        elif token in ("+", "-"):
            options = [["-" if token == "+" else "+"]]
        elif token == r"\top":
            options = [["2"]]
        elif token in ("=", ">", r"\ge"):
            options = [["<"], [r"\ge" if token != r"\ge" else ">"]]
        elif len(token) == 1 and token.isalpha():
            options = [[other] for other in rng.sample(letters, min(2, len(letters))) if other != token]
            options += [[token, r"^{\top}"], ["2 ", token], [""]]
        elif token in (r"\lambda", r"\gamma", r"\tau", r"\alpha", r"\omega", r"\beta"):
            options = [[""], ["2", token]]
        found += [[*tokens[:i], *option, *tokens[i + 1 :]] for option in options]
    rng.shuffle(found)
    return ["".join(tokens) for tokens in found[:count]]


def test_no_corrupted_part_of_a_claim_is_the_same() -> None:
    """Where one that looks corrupted is called the same, numbers say that it is equal."""
    rng, numbers = random.Random(0), np.random.default_rng(0)
    tried = read = same = 0
    for claim in registry.claims().values():
        about = subject(claim)
        known, comparison = table(about), Comparison(about)
        for part in about.parts:
            right = part.latex()
            for formula in corrupted(right, rng, 4 if len(right) < 300 else 1):  # long ones take long
                tried += 1
                try:
                    sentences = latex_reader.read(formula, known)
                    matched = [(sentence.says, comparison.find(sentence.says)[0]) for sentence in sentences]
                except (Unreadable, Incomparable):
                    continue
                read += 1
                if any(number is None for _, number in matched):
                    continue
                same += 1
                for says, number in matched:
                    other = about.parts[(number or 0) - 1]
                    if isinstance(other, st.Equal):
                        assert proportional(about, other, says, numbers), (claim.id, formula)
                    elif isinstance(other, st.Minimum | st.GradientIs):
                        ours, theirs = (x.objective for x in (other, says))
                        assert proportional(about, st.Equal(ours, sp.S.Zero), st.Equal(theirs, sp.S.Zero), numbers)
                    else:
                        assert other.latex() != right or r"^{\top}" in formula, (claim.id, formula)
    assert tried > 800
    assert read > 150
    assert same < 40


def test_the_numeric_oracle_tells_equations_apart() -> None:
    about = subject(registry.find("dang2023/balancedness"))
    part = about.parts[2]
    assert isinstance(part, st.Equal)
    numbers = np.random.default_rng(0)
    twice = st.Equal(2 * part.left, 2 * part.right)
    assert proportional(about, part, twice, numbers)
    assert not proportional(about, part, st.Equal(part.left, 2 * part.right), numbers)


# ---------------------------------------------------------------------------------------------- findings


def test_a_comment_with_the_hash_of_another_version_is_stale(audited: Any) -> None:
    text = citation.cite(["han2022/growth"])
    known = registry.find("han2022/growth").hash
    assert audited(text).equations[0].finding == "same"
    found = audited(text.replace(known, known[::-1]))
    assert found.equations[0].finding == "stale"
    assert known in found.equations[0].detail
    assert found.exit_code() == found.exit_code(allow_unread=True) == 1


def test_a_refuted_claim_is_unverified_and_its_correction_is_named(audited: Any) -> None:
    found = audited(citation.cite(["dang2023/ce-deep-etf"]))
    assert found.equations[0].finding == "unverified"
    assert "tightframe/ce-lower-rank" in found.equations[0].detail
    assert (found.exit_code(), found.exit_code(allow_unread=True)) == (3, 0)


def test_parts_of_a_claim_are_named(audited: Any) -> None:
    rows = r"W &= \lambda_H K (1+x^M) Y H^\top \\ W W^\top &= \lambda_H K n x^M I_K"
    (found,) = audited(labelled("dang2023/balanced-of", rows, "align")).equations[:1]
    assert (found.finding, found.parts, found.of) == ("same", (6,), 6)
    (found,) = audited(f"% tightframe: dang2023/balanced-of\n\\begin{{gather*}}{rows}\\end{{gather*}}").equations
    assert (found.finding, found.parts, found.detail) == ("same", (2, 6), "parts 2, 6 of 6")


def test_rows_of_one_environment_belong_to_their_labels(audited: Any) -> None:
    first, second = (f"\\label{{tf:{name}}}" for name in ("dang2023.balanced-etf", "dang2023.balanced-of"))
    rows = rf"b &= \tfrac1K \mathbf 1_K {first} \\ W W^\top &= \lambda_H K n x^M {second} \\ &\quad \cdot I_K"
    found = audited(f"\\begin{{align}}{rows}\\end{{align}}").equations
    assert [(each.claim, each.finding) for each in found] == [
        ("dang2023/balanced-etf", "same"),
        ("dang2023/balanced-of", "same"),
    ]


def test_unread_says_at_which_token_and_where(audited: Any, tmp_path: Path) -> None:
    (found,) = audited("", labelled("han2022/growth", "w =\n  \\foo x")).equations
    path = (tmp_path / "paper.tex").as_posix()
    assert found.detail == rf"\foo is no symbol of the claim at {path}:6:3"
    assert str(found.place) == f"{path}:5:1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("% tightframe: han2022/growth\n\nText.", "no equation follows"),
        (r"\begin{equation}\label{tf:han2022.nothing} x \end{equation}", "no claim is called"),
        ("% tightframe: han2022/growth\n" + labelled("han2022/closed-form", "x = x"), "the comment names"),
        (labelled("han2022/growth", "x", "align") + r"\begin{equation}\end{equation}", ""),
    ],
)
def test_ties_that_lead_nowhere_are_unread(text: str, words: str, audited: Any) -> None:
    found = audited(text)
    assert found.equations[0].finding == "unread"
    assert words in found.equations[0].detail
    assert found.exit_code() == 3


def test_macros_of_the_manuscript(audited: Any) -> None:
    text = labelled("dang2023/balanced-etf", r"\bias = \tfrac1K \one_K")
    good = "\\newcommand{\\bias}{b}\n\\newcommand\\one{\\mathbf{1}}\n"
    assert audited(text, preamble=good).equations[0].finding == "same"
    assert audited(text, preamble=good.replace("{b}", "{K b}")).equations[0].finding == "differs"
    redefined = "\\renewcommand{\\top}{-1}\n"
    square = labelled("garrod2025/alignment", r"\lambda A_0^\top A_0 = \lambda B_0 B_0^\top")
    assert audited(square).equations[0].finding == "same"
    assert audited(square, preamble=redefined).equations[0].finding != "same"
    assert audited(text, preamble="\\newcommand{\\bias}[1]{b}\n").equations[0].finding == "unread"


def test_what_is_commented_out_or_shown_is_not_audited(audited: Any) -> None:
    wrong = labelled("dang2023/balanced-etf", "b = 2")
    commented = "\n".join(f"% {line}" for line in wrong.splitlines())
    assert not audited(commented, f"\\begin{{verbatim}}\n{wrong}\n\\end{{verbatim}}").equations
    assert not audited(r"\verb|\begin{equation}\label{tf:han2022.growth}|", "\\end{document}", wrong).equations


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (r"x^{23} = 1", r"x^23 = 1"),
        (r"\frac{1}{2} 3", r"\frac{1}{23}"),
        (r"W^{\top}_{0}", r"W_0^\top"),
    ],
)
def test_tokens_are_those_of_tex(first: str, second: str) -> None:
    one, two = ([token.text for token in canonical(raw(text))] for text in (first, second))
    assert (one == two) == (first == r"W^{\top}_{0}")


@pytest.mark.parametrize(
    "formula",
    [
        *("1/2 K b = 1_K", "b = 1/K 1_K", "b(K) = 1_K", r"b' = \frac1K 1_K", r"b = \frac1K 1", r"b = \phantom{2} 1_K"),
        *(r"b = \frac1K \mathbb{1}_K", "b = K^{-1}1_K2", "b == 1_K", r"b = \frac1K \sum_j 1_K", "b + K = 1_K"),
        *("$b$ = 1", r"b = \log K n 1_K", "b = 1.000.000", r"K b = \left. 1_K \right|", r"b = \color{white}{2} 1_K"),
    ],
)
def test_what_is_ambiguous_is_not_read(formula: str, audited: Any) -> None:
    assert audited(labelled("dang2023/balanced-etf", formula)).equations[0].finding == "unread"


# ---------------------------------------------------------------------------------------------- citations


def test_entries_of_another_version_are_found(audited: Any) -> None:
    text = r"\cite{han2022} \citep[p.~2]{other,mine} \bibliography{refs}"
    entry = "@article{%s, title = {Neural Collapse}, eprint = {%s}}\n"
    known = entry % ("han2022", "2106.02073v4") + entry % ("other", "1905.00001v1")
    assert not audited(text, refs__bib=known + entry % ("mine", "2410.23169v2")).citations
    (found,) = audited(text, refs__bib=known + entry % ("mine", "2410.23169v1")).citations
    assert (found.claim, found.finding, found.tie) == ("garrod2025", "differs", "cite mine")
    assert "2410.23169v1" in found.detail
    found = audited(text, refs__bib=entry % ("han2022", "2106.02073"))
    assert found.exit_code() == 1
    assert [each.claim for each in found.citations] == ["han2022"]


# ---------------------------------------------------------------------------------------------- the command


def test_output_and_exit_codes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("paper.tex")
    good, bad = (labelled("dang2023/balanced-etf", f"b = \\frac{{1}}{{{x}}} 1_K") for x in "Kn")
    unread = labelled("dang2023/balanced-etf", "b = q")
    for pieces, codes in (([good], (0, 0)), ([good, unread], (3, 0)), ([bad, unread], (1, 1)), ([], (0, 0))):
        path.write_text(document(*pieces), "utf-8")
        found = [run("audit", str(path), *more, capsys=capsys)[0] for more in ((), ("--allow-unread",))]
        assert tuple(found) == codes
    path.write_text(document(good, bad, unread), "utf-8")
    code, out, err = run("audit", str(path), "--json", capsys=capsys)
    data = json.loads(out)
    assert (code, err) == (1, "")
    assert data["counts"] == {"same": 1, "differs": 1, "stale": 0, "unverified": 0, "unread": 1}
    assert data["equations"][0] | {"line": 0} == {
        "claim": "dang2023/balanced-etf",
        "file": "paper.tex",
        "line": 0,
        "column": 1,
        "tie": "label",
        "finding": "same",
        "detail": "part 7 of 7",
        "parts": [7],
        "of": 7,
    }
    _, out, _ = run("audit", str(path), "--format", "github", capsys=capsys)
    first, second = out.splitlines()
    assert first.startswith("::error file=paper.tex,line=7,col=1,title=tightframe%3A dang2023/balanced-etf differs::")
    assert second.startswith("::warning file=paper.tex,line=10,col=1,")
    code, out, err = run("audit", str(path), "--format", "pdf", capsys=capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)


def test_a_message_cannot_break_out_of_its_annotation() -> None:
    place = manuscript.Place("a,b:c.tex", 1, 1)
    from tightframe.papers.reading.auditing import Audited, Finding

    each = Audited("x/y", place, "label", Finding.DIFFERS, "50%\n::error::no")
    text = Audit("a.tex", (each,), ()).github()
    assert text.count("\n") == 1
    assert "file=a%2Cb%3Ac.tex" in text
    assert "50%25%0A::error::no" in text


# ---------------------------------------------------------------------------------------------- hostile files


def nested(formula: str) -> str:
    return document(labelled("dang2023/balanced-of", formula))


HOSTILE = {
    "long line": (lambda: "a" * 10_000_000, 2, "more than 8 MiB"),
    "line": (lambda: "a" * 60_000, 2, "a line of more than"),
    "braces": (lambda: nested("{" * 5_000 + "x" + "}" * 5_000), 3, "braces deeper"),
    "brackets": (lambda: nested("(" * 1_000 + "x" + ")" * 1_000 + " = 1"), 3, "brackets deeper"),
    "tower": (lambda: nested("9^{9^{9^{9}}} = x"), 3, "an exponent beyond"),
    "powers of powers": (lambda: nested("(" * 30 + "2x" + "^{24})" * 30 + " = 1"), 3, "powers of powers"),
    "powers": (lambda: nested(r"(x+\gamma+D)^{24}(x+\gamma+n)^{24} = 1"), 3, "multiplied out"),
    "product": (lambda: nested(r"(x+\gamma)" * 99 + " = 1"), 3, "multiplied out"),
    "digits": (lambda: nested("9" * 4_000 + " = x"), 3, "digits"),
    "terms": (lambda: nested(" + ".join(["x"] * 4_000)), 3, "tokens"),
    "bomb": (
        lambda: document(
            labelled("dang2023/balanced-of", r"\a = x"),
            preamble=r"\newcommand{\a}{\b\b\b\b\b\b\b\b\b}\newcommand{\b}{\c\c\c\c\c\c\c\c\c}\newcommand{\c}{\a\a}",
        ),
        3,
        "macros",
    ),
    "no end": (lambda: "\\begin{equation}\n" * 100_000, 2, "does not end"),
    "cycle": (lambda: r"\input{hostile}", 2, "inside itself"),
    "outside": (lambda: r"\input{../../etc/passwd}", 2, "leaves the folder"),
    "absolute": (lambda: r"\input{/etc/passwd}", 2, "leaves the folder"),
    "link": (lambda: r"\input{link}", 2, "leaves the folder"),
    "pipe": (lambda: r"\include{pipe}", 2, "no file"),
    "missing": (lambda: r"\input{nothing}", 2, "no file nothing"),
    "comments": (lambda: "% tightframe: han2022/growth\n" * 100_000, 2, "more than"),
    "zero": (lambda: "a\0b", 2, "not a text file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_quickly_with_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, wanted, words = HOSTILE[name]
    (tmp_path / "link.tex").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.tex")
    path = tmp_path / "hostile.tex"
    path.write_text(made(), "utf-8")
    started = time.process_time()
    code, out, err = run("audit", str(path), capsys=capsys)
    assert time.process_time() - started < 5
    assert code == wanted
    assert words in out + err
    assert err.count("\n") == (code == 2)
    assert len(out) < 1_000


def test_bytes_that_are_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "binary.tex"
    path.write_bytes(bytes(range(256)) * 100)
    code, out, err = run("audit", str(path), capsys=capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "not UTF-8" in err


def test_inputs_are_followed_and_places_are_those_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "one.tex").write_text("text\n" + labelled("dang2023/balanced-etf", "b = 2"), "utf-8")
    path = tmp_path / "paper.tex"
    path.write_text(document(r"before \input{parts/one} after", r"\input parts/one.tex"), "utf-8")
    found = audit(path).equations
    assert [str(each.place) for each in found] == [f"{(tmp_path / 'parts/one.tex').as_posix()}:3:1"] * 2


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lark", None)
    code, out, err = run("audit", "paper.tex", capsys=capsys)
    assert (code, out) == (2, "")
    assert "tightframe[write]" in err
