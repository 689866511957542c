"""Typst and MathML say what the LaTeX says: two converters, by other people, put beside each other."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import typst
from mathml import elements, skeleton
from tightframe.papers import cli, registry
from tightframe.papers.writing import conversion, formats, notation


def formulas() -> list[str]:
    """The statements, definitions and hypotheses of all claims, in their own letters and in every shipped notation."""
    found: list[str] = []
    for claim in registry.claims().values():
        found += [claim.statement_latex(), *claim.definitions_latex()]
        found += [hypothesis.statement.latex() for hypothesis in claim.setting.hypotheses]
        for name in notation.shipped():
            found.append(notation.written(claim, notation.load(name)).statement.latex())
    return list(dict.fromkeys(found))


def in_typst(sources: list[str]) -> list[Any]:
    """What Typst makes of formulas, as MathML of its own."""
    document = "\n\n".join(f"$ {source} $" for source in sources)
    return elements(typst.compile(document.encode(), format="html").decode())


def in_mathml(latex: str) -> Any:
    (element,) = elements(conversion.mathml(latex, display=True))
    return skeleton(element)


def test_typst_says_what_mathml_says() -> None:
    every = formulas()
    assert len(every) > 200
    for latex, element in zip(every, in_typst([conversion.typst(latex) for latex in every]), strict=True):
        assert skeleton(element) == in_mathml(latex), latex


@pytest.mark.parametrize(
    ("latex", "wrong"),
    [
        (r"\frac{1}{n} \left(a + b\right)", "1/n(a + b)"),
        (r"\bigl(A^{2}\bigr)^{2}", "A^(2)^(2)"),
        (r"\left\lVert \frac{a}{b} \right\rVert_F^2", "norm({frac(a, b)})_(F)^(2)"),
        (r"W^{\top} H", "W H^(top)"),
        (r"A - B", "A + B"),
        (r"\mathcal{L}_{\mathrm{NC2/3}}", "cal(L)_(N C) 2 slash 3"),
        (r"e^{- x^{2}/2}", "e^(- x)^(2) slash 2"),
    ],
)
def test_another_formula_is_another_one(latex: str, wrong: str) -> None:
    right, other = (skeleton(element) for element in in_typst([conversion.typst(latex), wrong]))
    assert right == in_mathml(latex) != other


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"n_{\mathrm{tot}}", 'n_("tot")'),
        (r"\lVert W H - Y \rVert_F^2", "norm(W H - Y)_(F)^(2)"),
        (r"\left\lVert \frac{a}{b} \right\rVert_F^2", "norm(frac(a, b))_(F)^(2)"),
        (r"{p'}^{2} + \bar{M}", "p'^(2) + macron(M)"),
        (r"a \text{ or } b", 'a " or " b'),
    ],
)
def test_formulas_in_typst(latex: str, expected: str) -> None:
    assert conversion.typst(latex) == expected


def test_what_cannot_be_converted_is_an_error() -> None:
    with pytest.raises(ValueError, match="nosuchcommand"):
        conversion.mathml(r"\nosuchcommand{a}")


@pytest.mark.parametrize(
    ("module", "words", "package"),
    [
        ("tylax", ("cite", "han2022/closed-form", "--format", "typst"), "tylax"),
        ("math_core", ("derive", "han2022/closed-form", "--format", "html"), "math-core"),
        ("jinja2", ("derive", "han2022/closed-form", "--format", "html"), "jinja2"),
        ("typst", ("derive", "han2022/closed-form", "--format", "pdf", "--out", "x.pdf"), "typst"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(
    module: str,
    words: tuple[str, ...],
    package: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: Any,
    tmp_path: Any,
) -> None:
    def missing(name: str, *rest: Any) -> Any:
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}")
        return importing(name, *rest)

    importing = conversion.import_module
    monkeypatch.setattr(conversion, "import_module", missing)
    monkeypatch.chdir(tmp_path)
    conversion._mathml.cache_clear()
    formats.environment.cache_clear()
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"needs the package {package}, which is not installed: pip install 'tightframe[write]'" in err
    assert list(tmp_path.iterdir()) == []


def test_the_core_verbs_need_no_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    importing = builtins.__import__

    def only_core(name: str, *rest: Any) -> Any:
        if name in ("tylax", "typst", "math_core", "jinja2", "lark"):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", only_core)
    for words in (("cite", "han2022/closed-form"), ("derive", "han2022/closed-form", "--format", "latex")):
        assert cli.main(words) == 0
    capsys.readouterr()
