"""Notations: letters and scalings between the papers, exact; collisions that name both symbols; claims that compile."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
from tightframe.papers import cli, registry
from tightframe.papers.claim import Claim
from tightframe.papers.registry import UnknownName
from tightframe.papers.verification import standing
from tightframe.papers.writing import citation, formats, notation
from tightframe.papers.writing.notation import (
    Notation,
    NotationError,
    load,
    parsed,
    written,
)
from tightframe.papers.writing.substitution import NotReplaceable, defined, substituted
from tightframe.theory.printing import latex
from tightframe.theory.proof.statement import Between, Exceeds, Vanishing
from typesetting import compiled, needs_pdflatex, too_long

IDS = list(registry.claims())
SHIPPED = notation.shipped()


# ---------------------------------------------------------------------------------------------- scalings, exactly


def quantity(name: str, key: str) -> Any:
    """A quantity in a shipped notation, as a product of its letters."""
    return sp.Mul(*(sp.Symbol(letter, positive=True) for letter in load(name).quantities[key]))


# What a paper's letters count, for K classes of n samples each: the same numbers under other names.
COUNTS = {
    "han2022": lambda classes, per_class: {"C": classes, "N": per_class},
    "dang2023": lambda classes, per_class: {"K": classes, "n": per_class, "N": classes * per_class},
    "garrod2025": lambda classes, per_class: {"K": classes, "n": per_class},
    "liu2024": lambda classes, per_class: {"K": classes, "n": per_class, "N": classes * per_class},
}


def value(expr: Any, numbers: dict[str, int]) -> Any:
    return expr.subs({symbol: numbers[symbol.name] for symbol in expr.free_symbols})


@pytest.mark.parametrize("name", SHIPPED)
def test_every_paper_counts_the_same_samples(name: str) -> None:
    """C N = K n = N of dang2023."""
    for classes, per_class in ((2, 2), (3, 5), (10, 7)):
        numbers = COUNTS[name](classes, per_class)
        assert value(quantity(name, "classes"), numbers) == classes
        assert value(quantity(name, "samples-per-class"), numbers) == per_class
        assert value(quantity(name, "samples"), numbers) == classes * per_class


def test_half_the_average_is_the_squared_norm_over_twice_all_samples() -> None:
    """1/2 Ave ||W h - y||^2 (han2022) is 1/(2 C N) ||.||_F^2, 1/(2 N) ||.||_F^2 (dang2023), and 1/(2 K n) ||.||_F^2."""
    rng = random.Random(1)
    classes, per_class, width = 3, 4, 2
    W = [[Fraction(rng.randint(-5, 5), 3) for _ in range(width)] for _ in range(classes)]
    H = [[[Fraction(rng.randint(-5, 5), 2) for _ in range(width)] for _ in range(per_class)] for _ in range(classes)]
    squares = [
        sum((sum(w * x for w, x in zip(row, h, strict=True)) - (k == c)) ** 2 for k, row in enumerate(W))
        for c, samples in enumerate(H)
        for h in samples
    ]
    average = sum(squares) / len(squares) / 2
    for name in SHIPPED:
        samples = value(quantity(name, "samples"), COUNTS[name](classes, per_class))
        assert sum(squares) / (2 * Fraction(int(samples))) == average
        assert sum(squares) / (2 * Fraction(per_class)) != average


LOSSES = {
    "han2022": r"\frac{1}{2 C N} \lVert W H - Y \rVert_F^2",
    "dang2023": r"\frac{1}{2 N} \lVert W H - Y \rVert_F^2",
    "garrod2025": r"\frac{1}{2 K n} \lVert W H - Y \rVert_F^2",
    "liu2024": r"\frac{1}{2 N} \lVert W H - Y \rVert_F^2",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_loss_of_dang2023_has_the_scale_of_each_paper(name: str) -> None:
    text = written(registry.find("dang2023/ridge-features"), load(name)).statement.latex()
    assert LOSSES[name] in text
    assert not any(other in text for other in set(LOSSES.values()) - {LOSSES[name]})


def test_the_layers_of_dang2023_are_those_of_garrod2025() -> None:
    """M layers of weights above the features there, L here: b = M ... has its L."""
    depth = registry.find("dang2023/scalar-minimiser")
    assert "x^{M}" in depth.statement_latex()
    assert "x^{L}" in written(depth, load("garrod2025")).statement.latex()
    scale = registry.find("garrod2025/dnc-scale")
    assert "L + 1" in scale.statement_latex()
    assert "M + 1" in written(scale, load("dang2023")).statement.latex()


@pytest.mark.parametrize(("back", "there"), [*zip(SHIPPED, (*SHIPPED[1:], SHIPPED[0]), strict=True)])
def test_two_notations_are_inverse_to_each_other(back: str, there: str) -> None:
    """What is renamed there and back is the claim again, where no product stands for all samples."""
    seen = 0
    for claim in registry.paper(back).claims:
        went, new = written(claim, load(there)), notation.renaming(load(there), claim)
        returning = {found: old for old, found in new.items()}
        if len(returning) != len(new) or not all(isinstance(found, sp.Symbol | sp.MatrixSymbol) for found in returning):
            continue
        assert substituted(went.statement, returning) == written(claim).statement
        assert defined(went.definitions, returning) == dict(written(claim).definitions)
        seen += bool(new)
    assert seen or load(back).quantities == load(there).quantities


@pytest.mark.parametrize("name", SHIPPED)
def test_own_claims_stay_in_their_own_letters(name: str) -> None:
    for claim in registry.paper(name).claims:
        assert written(claim, load(name)) == written(claim)


def test_what_is_no_letter_stays() -> None:
    claim = registry.find("han2022/snr-flow")
    names = [latex(symbol) for symbol in written(claim, load("dang2023")).definitions]
    assert names == [latex(symbol) for symbol in written(claim).definitions]


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("key", IDS)
def test_no_letter_stands_for_two_things(key: str, name: str) -> None:
    claim = registry.find(key)
    new = notation.renaming(load(name), claim)
    final = [new.get(symbol, symbol) for symbol in claim.symbols]
    # C N is a product of letters that are in use already; a vector and its entries share a letter
    single = [latex(symbol) for symbol in final if isinstance(symbol, sp.Symbol | sp.MatrixSymbol)]
    before = [latex(symbol) for symbol in claim.symbols]
    assert len(single) - len(set(single)) <= len(before) - len(set(before))
    assert all("(" in found.name or "(" not in old.name for old, found in new.items() if hasattr(found, "name"))


@needs_pdflatex
def test_all_claims_in_all_notations_compile_in_one_document(tmp_path: Path) -> None:
    bodies = []
    for name in SHIPPED:
        for claim in registry.claims().values():
            cited = citation.Citation(claim, standing(registry.find(IDS[0])), load(name))
            bodies.append(citation.latex_formulas(cited, ""))
    text = f"{formats.PREAMBLE}\\begin{{document}}\n{''.join(bodies)}\\end{{document}}\n"
    log = compiled(text, tmp_path)
    assert not too_long(log)
    assert "Overfull \\vbox" not in log, "a formula is longer than a page"
    assert "LaTeX Warning" not in log


# ---------------------------------------------------------------------------------------------- maps of one's own

RIDGE = "dang2023/ridge-features"


def own(text: str) -> Notation:
    return parsed("mine.toml", text)


def ridge(text: str) -> str:
    return written(registry.find(RIDGE), own(text)).statement.latex()


def test_letters_are_replaced_in_formulas_and_sizes() -> None:
    text = ridge('N = "n_{\\\\mathrm{tot}}"\nd = "p"\nH = "Z"\n')
    assert r"\frac{1}{2 n_{\mathrm{tot}}} \lVert W Z - Y \rVert_F^2" in text
    assert r"n_{\mathrm{tot}} \lambda_{H} I_{p}" in text
    assert r"\nabla_{Z}" in text


def test_the_centring_matrix_has_a_letter_that_is_free() -> None:
    claim = registry.find("garrod2025/dnc-loss")
    assert r"\omega s^{L + 1} S Q^{\top} Q S Y = \alpha S Y" in written(claim).statement.latex()
    taken = written(claim, own('Q = "S"'))
    assert r"\omega s^{L + 1} \Pi S^{\top} S \Pi Y = \alpha \Pi Y" in taken.statement.latex()
    neither = written(claim, own('Q = "S"\nP = "\\\\Pi"'))
    assert (
        r"S^{\top} S \left(I_{K} - \frac{1}{K} \mathbf{1}_{K} \mathbf{1}_{K}^{\top}\right) Y"
        in neither.statement.latex()
    )
    assert [latex(letter) for letter in taken.definitions] == [r"\Pi"]
    assert not neither.definitions


def test_products_and_tables_of_a_paper() -> None:
    assert r"\frac{1}{2 K m}" in ridge('[dang2023]\nN = ["K", "m"]\n')
    assert r"\frac{1}{2 N}" in ridge('[han2022]\nN = "m"\n')
    assert r"\frac{1}{2 s}" in ridge('N = "m"\n[dang2023]\nN = "s"\n')
    assert r"\frac{1}{2 t}" in ridge('[quantities]\nsamples = "t"\n')
    assert r"\frac{1}{2 m}" in ridge('N = "m"\n[quantities]\nsamples = "t"\n'), "a letter wins over a quantity"


def test_a_product_is_a_product() -> None:
    """N^2 becomes (K m)^2, not K m^2."""
    found = written(registry.find("dang2023/minority-collapse"), own('N = ["S", "m"]'))
    assert "S^{2}" in found.statement.latex()
    assert "m^{2}" in found.statement.latex()


def test_letters_can_be_exchanged() -> None:
    text = ridge('W = "H"\nH = "W"\n')
    assert r"\lVert H W - Y \rVert_F^2" in text


def test_arguments_follow_their_letters() -> None:
    claim = registry.find("han2022/snr-flow")
    found = written(claim, own('X = "Z"\n'))
    names = [latex(name) for name in found.definitions]
    assert r"\Sigma_T(Z)" in names
    assert not any("X" in name for name in names)


COLLISIONS = [
    (RIDGE, 'd = "n"\nN = "n"\n', "N and d would both be n"),
    (RIDGE, 'd = "W"\n', "d and W would both be W"),
    (RIDGE, 'W = "N"\n', "W and N would both be N"),
    ("han2022/closed-form", 'C = "t"\n', "C cannot be t in han2022/closed-form, which uses t"),
    ("han2022/central-path-loss", 'C = "j"\n', "C cannot be j"),
    (RIDGE, 'N = ["W", "m"]\n', "N and W would both be W"),
]


@pytest.mark.parametrize(("key", "text", "expected"), COLLISIONS)
def test_a_collision_is_an_error_that_names_both(key: str, text: str, expected: str) -> None:
    with pytest.raises(NotationError, match=expected):
        written(registry.find(key), own(text))


def test_a_letter_that_is_in_the_way_can_get_a_prime() -> None:
    text = ridge('aside = "prime"\nd = "W"\n')
    assert r"\lVert W' H - Y \rVert_F^2" in text
    assert "I_{W}" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("N = ", "is not TOML"),
        ("N = 3", "expected a letter"),
        ('N = ""', "expected a letter"),
        ('N = "a$b"', "expected a letter"),
        ('N = "a%"', "expected a letter"),
        ('N = "{a"', "expected a letter"),
        ('N = "a}{"', "expected a letter"),
        ("N = []", "at least one"),
        ('N = ["a", 3]', "expected a letter"),
        ('aside = "maybe"', "aside"),
        ("quantities = 3", "expected a table"),
        ('[quantities]\nclases = "C"', "unknown quantity 'clases'; known: classes"),
    ],
)
def test_a_map_that_cannot_be_read_is_one_line(text: str, expected: str) -> None:
    with pytest.raises(NotationError, match=expected) as found:
        own(text)
    assert "\n" not in str(found.value)
    assert str(found.value).startswith("mine.toml")


def test_the_command_takes_names_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cite", RIDGE, "--notation", "han2022"]) == 0
    text = capsys.readouterr().out
    assert "% notation han2022: C for K, C N for N, p for d" in text
    mine = tmp_path / "mine.toml"
    mine.write_text('N = "n"\n')
    assert cli.main(["cite", RIDGE, "--notation", str(mine)]) == 0
    assert "% notation mine.toml: n for N" in capsys.readouterr().out
    for words, expected in (
        (
            ["nosuch"],
            "no notation is called 'nosuch' and no file either; known: dang2023, garrod2025, han2022, liu2024",
        ),
        ([str(tmp_path)], "cannot read the notation"),
        ([str(mine)], "N and W would both be W"),
    ):
        mine.write_text('N = "W"\n')
        assert cli.main(["cite", RIDGE, "--notation", *words]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert expected in err
    mine.write_bytes(b"\xff\xfe")
    assert cli.main(["cite", RIDGE, "--notation", str(mine)]) == 2
    assert "it is not UTF-8" in capsys.readouterr().err
    with pytest.raises(UnknownName):
        load("nosuch")


# ---------------------------------------------------------------------------------------------- replacing symbols


def test_bound_variables_stay_symbols() -> None:
    t, x = sp.symbols("t x")
    assert substituted(Vanishing(1 / t, t), {t: x}) == Vanishing(1 / x, x)
    with pytest.raises(NotReplaceable):
        substituted(Vanishing(1 / t, t), {t: sp.Integer(2)})


def test_conditions_that_hold_disappear_and_others_end() -> None:
    m, L = sp.symbols("m L", integer=True, positive=True)
    says = Exceeds(L * m, m, ((Between(m, 2), Between(L, 3)), (Between(m, 3), Between(L, 2, 2))))
    assert substituted(says, {m: sp.Integer(2)}).domain == ((Between(L, 3),),)  # type: ignore[attr-defined]
    assert substituted(says, {m: sp.Integer(5)}).domain == ((Between(L, 3),), (Between(L, 2, 2),))  # type: ignore[attr-defined]
    with pytest.raises(NotReplaceable, match="no part"):
        substituted(says, {m: sp.Integer(1)})


def test_the_meanings_of_parameters_are_those_that_claims_use() -> None:
    """Every claim that counts classes or samples says so in words that the maps know."""
    said = {parameter.says for claim in registry.claims().values() for parameter in claim.domain.parameters}
    assert set(notation.MEANINGS) <= said, "an entry that no claim uses any more"

    def counts(claim: Claim) -> list[str]:
        return [p.says for p in claim.domain.parameters if p.says.startswith(("samples", "number of classes"))]

    unknown = {says for claim in registry.claims().values() for says in counts(claim)} - set(notation.MEANINGS)
    assert not unknown, f"add what it means to notation.MEANINGS: {unknown}"
