"""The loss surface at neural collapse: spectra, threshold, the set of factors, flatness; what must not be proved."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
import torch
from tightframe import papers
from tightframe.numerics import low_rank, parametrisation
from tightframe.papers import cli
from tightframe.papers.garrod2025 import landscape as claims
from tightframe.papers.garrod2025.losses import simplex_logits
from tightframe.theory import definiteness, flatness, landscape, second_variation, softmax_hessian, solution_dimension
from tightframe.theory.derivation import Derivation, Failure, Proof, Step
from tightframe.theory.proof.rules import Dominance, Star
from tightframe.theory.proof.statement import Equal, Vanishing


def listed(spectrum: landscape.Spectrum) -> list[float]:
    return [value for value, count in spectrum for _ in range(count)]


# ------------------------------------------------------------------------------------------------------- spectra
def differentiated(logits: torch.Tensor, depth: int, per_class: int, width: int, decay: float) -> list[float]:
    """Eigenvalues of the Hessian by automatic differentiation of the objective of the model, over the decay."""
    classes = logits.shape[-1]
    model = claims.model_of(classes, per_class, width, depth, decay)
    point = claims.balanced_factors(logits, per_class, width, depth, seed=3)
    sizes = [tensor.shape for tensor in point.tensors]

    def objective(flat: torch.Tensor) -> torch.Tensor:
        parts = iter(flat.split([size.numel() for size in sizes]))
        shaped = iter([part.view(size) for part, size in zip(parts, sizes, strict=True)])
        return model.objective(point.map(lambda _: next(shaped)))

    start = torch.cat([tensor.flatten() for tensor in point.tensors])
    gradient: Any = torch.autograd.functional.jacobian(objective, start)
    assert float(gradient.norm()) < 1e-9 * decay * float(start.norm())
    hessian: Any = torch.autograd.functional.hessian(objective, start)
    return (torch.linalg.eigvalsh(hessian) / decay).tolist()


@pytest.mark.parametrize(("classes", "depth", "per_class", "scale"), [(2, 2, 2, 0.4), (3, 3, 1, 1.1), (5, 1, 2, 3.0)])
def test_spectrum_at_neural_collapse(classes: int, depth: int, per_class: int, scale: float) -> None:
    decay = claims.collapse_decay(classes, depth, per_class, scale)
    measured = differentiated(scale * simplex_logits(classes), depth, per_class, classes + 1, decay)
    assert measured == pytest.approx(listed(landscape.dnc_spectrum(classes, depth, classes + 1, per_class, scale)))
    for wrong in (
        landscape.dnc_spectrum(classes, depth, classes + 1, per_class, 1.01 * scale),
        landscape.dnc_spectrum(classes, depth, classes + 1, per_class, scale)[1:],
    ):
        assert measured != pytest.approx(listed(wrong))


@pytest.mark.parametrize(("depth", "per_class", "scale"), [(1, 1, 0.7), (2, 2, 1.5)])
@pytest.mark.parametrize("classes", [4, 6])
def test_spectrum_at_pairs(classes: int, depth: int, per_class: int, scale: float) -> None:
    decay = claims.paired_decay(classes, depth, per_class, scale)
    measured = differentiated(scale * low_rank.paired(classes), depth, per_class, classes, decay)
    assert measured == pytest.approx(listed(landscape.paired_spectrum(classes, depth, classes, per_class, scale)))
    assert measured != pytest.approx(
        listed(landscape.paired_spectrum(classes, depth, classes, per_class, 1.01 * scale))
    )


def test_every_eigenvalue_is_counted() -> None:
    for classes in range(2, 9):
        for depth in (1, 2, 5):
            for width, per_class in ((classes, 1), (classes + 3, 4)):
                size = (depth - 1) * width**2 + width * classes * (per_class + 1)
                assert len(listed(landscape.dnc_spectrum(classes, depth, width, per_class, 2.0))) == size
                if classes % 2 == 0 and classes > 2:
                    assert len(listed(landscape.paired_spectrum(classes, depth, width, per_class, 2.0))) == size


@pytest.mark.parametrize(
    "wrong", [(1, 1, 3, 1, 1.0), (3, 0, 3, 1, 1.0), (3, 1, 2, 1, 1.0), (3, 1, 3, 0, 1.0), (3, 1, 3, 1, 0.0)]
)
def test_a_spectrum_of_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        landscape.dnc_spectrum(*wrong)


def test_pairs_of_one_layer_are_a_saddle_and_deeper_ones_have_a_threshold() -> None:
    """For L >= 2 no eigenvalue is negative exactly if (L+1) 2 beta >= (L-1) (2 e^(-beta) + K - 2)."""
    assert landscape.paired_spectrum(6, 1, 6, 1, 9.0)[0][0] < -0.3
    for classes in (4, 6, 10):
        for depth in (2, 3, 6):
            for beta in (0.05, 0.3, 1.0, 2.0, 3.0, 5.0, 40.0, 600.0):
                excess = 2 * beta * (depth + 1) - (depth - 1) * (2 * math.exp(-beta) + classes - 2)
                least = landscape.paired_spectrum(classes, depth, classes, 2, beta)[0][0]
                assert (least < -1e-9) == (excess < 0), (classes, depth, beta)


# ----------------------------------------------------------------------------------------------------- threshold
@pytest.mark.parametrize("depth", [2, 3, 7])
@pytest.mark.parametrize("classes", [2, 3, 4, 5, 9])
def test_the_threshold_parts_signs(classes: int, depth: int) -> None:
    least = float(definiteness.threshold(classes, depth, 64))
    below, above = (landscape.dnc_spectrum(classes, depth, classes, 1, x * least)[0][0] for x in (0.999, 1.001))
    assert below < -1e-5
    assert above > -1e-12


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_what_is_decided_is_the_sign_of_the_spectrum(classes: int) -> None:
    seen = set()
    for share in (0.01, 0.5, 0.9, 0.999):
        decay = Fraction(share * float(definiteness.largest_decay(classes, 4, 2, 64)[0]))
        scale = float(definiteness.larger_scale(classes, 4, 2, decay, 64).mid())
        found = definiteness.no_negative_eigenvalue(classes, 4, 2, decay)
        assert found == (landscape.dnc_spectrum(classes, 4, classes, 2, scale)[0][0] > -1e-9)
        seen.add(found)
    assert seen == ({True} if classes == 2 else {True, False})


def test_at_the_threshold_nothing_is_said() -> None:
    """lam at alpha = 2, to 600 digits: no precision that is tried tells the two apart."""
    decay = Fraction(str(sp.N(2 / sp.sqrt(2) / (sp.exp(2) + 3), 600)))
    assert definiteness.no_negative_eigenvalue(4, 3, 1, decay) is None


# -------------------------------------------------------------------------------------------------- what is proved
def test_the_weight_of_the_symmetric_part_is_exact() -> None:
    """(L+1) alpha/K - (L-1): a little more or less is refuted."""
    said = second_variation.completed()
    assert claims.definite_setting.refute(said) is None
    square = second_variation.symmetric_part(second_variation.TOP.T * second_variation.TOP_FIRST)
    for slip in (sp.Rational(1, 1000), sp.Rational(-1, 1000)):
        wrong = Equal(said.left, said.right + slip * sp.Trace(square * square))
        assert claims.definite_setting.refute(wrong) is not None


@pytest.mark.parametrize("name", list(second_variation.layers()))
def test_slips_in_the_step_from_layer_to_layer_are_refuted(name: str) -> None:
    said = second_variation.layers()[name]
    assert isinstance(said, Equal)
    assert claims.definite_setting.refute(said, draws=2) is None
    assert claims.definite_setting.refute(Equal(said.left, 2 * said.right), draws=2) is not None


@pytest.mark.parametrize("name", ["gradient", "powers of x", "rho", "Hessian"])
def test_slips_in_the_softmax_are_refuted(name: str) -> None:
    said = softmax_hessian.conclusions()[name]
    assert isinstance(said, Equal)
    wrong = Equal(said.left, 2 * said.right)
    assert isinstance(Derivation("slip", claims.softmax_setting, (Step("slip", wrong, "", Star()),)).prove(), Failure)
    assert claims.softmax_setting.refute(wrong) is not None


# ------------------------------------------------------------------------------------------------- set of factors
@pytest.mark.parametrize("values", [(1,), (2, 2), (3, 1), (2, 2, 2), (3, 2, 1)])
@pytest.mark.parametrize(("classes", "width", "depth"), [(4, 4, 1), (4, 5, 2), (5, 6, 3)])
def test_the_dimension_is_the_exact_rank(values: tuple[int, ...], classes: int, width: int, depth: int) -> None:
    factors = parametrisation.rational_aligned(classes, classes + 1, width, values, depth, seed=1)
    found = parametrisation.exact_rank(parametrisation.rotation_differential(*factors))
    rank = len(values)
    assert found == solution_dimension.dimension(depth, width, rank)
    assert (found == depth * (rank * width - rank**2)) == (rank == 1)  # theorem 5, at equal singular values


def test_the_counterexample_is_replayed() -> None:
    witness = claims.three_classes_setting.refute(solution_dimension.dependent())
    assert witness is not None
    letters = {name: sp.Matrix(rows) for name, rows in witness["letters"].items()}
    weights, features = letters["W"], letters["H"]
    moves = [weights * letters[name] for name in "ABC"]
    downs = [letters[name] * features for name in "ABC"]
    assert weights.T * weights == features * features.T
    assert sp.Matrix([[*up, *down] for up, down in zip(moves, downs, strict=True)]).rank() == 3


def test_the_ratio_starts_above_one_and_increases_to_its_limit() -> None:
    for classes in range(4, 9):
        for rank in range(1, classes - 1):
            ratios = [solution_dimension.ratio(classes, width, rank) for width in range(classes, classes + 30)]
            assert ratios[0] > 1
            assert ratios == sorted(set(ratios))
            assert ratios[-1] < Fraction(classes - 1, rank)
            assert abs(solution_dimension.ratio(classes, 10**9, rank) - Fraction(classes - 1, rank)) < Fraction(
                1, 10**6
            )


# ------------------------------------------------------------------------------------------------------- flatness
@pytest.mark.parametrize(("classes", "depth", "per_class"), [(4, 1, 1), (4, 2, 3), (6, 3, 1), (10, 2, 2)])
def test_limits_are_those_of_the_spectra(classes: int, depth: int, per_class: int) -> None:
    """At scale 600 as it is, and with what is left falling like the inverse of the scale."""
    found = flatness.ratios(classes, depth, per_class)
    limits = [float(value(64)) for value in found.values()]

    def norms(values: list[float]) -> list[float]:
        return [sum(values), math.hypot(*values), max(map(abs, values))]

    def errors(scale: float) -> list[float]:
        collapse = norms(listed(landscape.dnc_spectrum(classes, depth, classes, per_class, scale)))
        pairs = norms(listed(landscape.paired_spectrum(classes, depth, classes, per_class, scale)))
        return [abs(a / b / limit - 1) for a, b, limit in zip(collapse, pairs, limits, strict=True)]

    for near, far in zip(errors(60.0), errors(600.0), strict=True):
        assert far < 0.02
        assert far < 0.2 * near + 1e-12


def test_another_limit_is_not_proved() -> None:
    for name in ("neural collapse, block 6, 1 1", "pairs, block 8, 1 2", "pairs, block 5, 1 1"):
        said = flatness.entries()[name]
        assert isinstance(said, Vanishing)
        for shift, kind in ((0, Proof), (sp.Rational(1, 100), Failure)):
            step = Step("limit", Vanishing(said.expression + shift, said.variable), "", Dominance())
            assert isinstance(Derivation("limit", claims.flatness_setting, (step,)).prove(), kind)


# ----------------------------------------------------------------------------------------------------- prediction
def test_predictions() -> None:
    found = papers.predict("garrod2025/solution-dimension", K=4, L=3, d=5, r=2)["values"]
    assert found == {"dimension": 21, "dnc_dimension": 27, "ratio": 9 / 7}
    assert papers.predict("tightframe/solution-dimension", K=4, L=3, d=5, r=2)["values"] == found
    found = papers.predict("garrod2025/flatness-ratio", K=4, L=2, n=1)["values"]
    assert found == {"trace": 0.75, "frobenius": pytest.approx((30 / 56) ** 0.5), "spectral": 1.0}
    found = papers.predict("garrod2025/dnc-psd", K=4, L=3, n=1, lam="0.17")["values"]
    assert (found["psd"], found["alpha_threshold"]) == (False, 2.0)
    assert claims.collapse_decay(4, 3, 1, found["alpha"]) == pytest.approx(0.17)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            "garrod2025/solution-dimension K=4 L=2 d=4 r=4",
            "r (rank of the logits): expected an integer from 1 to K - 1 = 3",
        ),
        ("garrod2025/solution-dimension K=4 L=2 d=3 r=2", "d (width): expected an integer from K = 4 on, got 3"),
        ("garrod2025/dnc-psd K=4 L=3 n=1 lam=0.2", "lam: neural collapse has a critical scale up to lam = 0.174949"),
        ("garrod2025/dnc-psd K=2 L=1 n=1 lam=0.5", "lam: neural collapse has a critical scale below lam = 0.5"),
        ("garrod2025/flatness-ratio K=5 L=1 n=1", "K (number of classes): expected an even number from 4, got 5"),
    ],
)
def test_bad_input_is_one_plain_line(arguments: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *values = arguments.split()
    words = [word for value in values for word in ("--set", value)]
    assert cli.main(["predict", name, *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert says in shown.err


def test_claims_of_the_surface_are_linked(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "garrod2025/solution-dimension", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["verdict"] == "refuted"
    assert shown["corrected_by"] == "tightframe/solution-dimension"
