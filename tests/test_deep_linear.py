"""Deep linear models: the closed form beside direct minimisation, near, across and at thresholds, for any targets."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tightframe import papers
from tightframe.numerics import minimisation
from tightframe.numerics.deep_linear import DeepLinearUFM
from tightframe.papers import cli
from tightframe.theory import deep_linear, scalar_problem

Decays = tuple[float, ...]


def searched(counts: tuple[int, ...], width: int, decays: Decays, **more: Any) -> tuple[float, list[float]]:
    """The least f found, and the squared singular values of W there, largest first."""
    model = DeepLinearUFM(counts, width, len(decays) - 1, decays, **more)
    found = minimisation.global_minimum(model, seed=0, starts=16)
    assert found.converged
    values = found.value.spectrum.singular_values
    return float(found.stats.loss), sorted((values**2).tolist(), reverse=True)


# ------------------------------------------------------------------------------------------------ reference values
REFERENCES = {
    "(i)": ((20, 10, 5, 5), (0.005, 0.0005), 0.01894213562373095, (1.39421, 0.98, 0.68711, 0.68711)),
    "(ii)": ((20, 10, 5, 5), (0.002, 0.003, 0.001), 0.022459519558899882, (4.00138, 2.50089, 1.55559, 1.55559)),
    "(iii)": ((12, 7, 3), (0.002, 0.001, 0.002, 0.001), 0.013559867416776655, (4.52597, 3.00999, 1.57874)),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_reference_values(name: str) -> None:
    counts, decays, least, lengths = REFERENCES[name]
    found = deep_linear.minimum(counts, sum(counts), decays)
    assert found.converged
    assert found.f_min == pytest.approx(least, rel=1e-15)
    assert found.p == pytest.approx(lengths, abs=1e-5)
    if len(decays) == 2:
        closed = [math.sqrt(n * decays[1] / decays[0]) - sum(counts) * decays[1] for n in counts]
        assert found.p == pytest.approx(closed, rel=1e-13)


def test_reference_value_with_bias() -> None:
    found = deep_linear.minimum(deep_linear.one_hot((6, 6, 6, 6), bias=True), 24, (0.002, 0.002, 0.001))
    assert found.f_min == pytest.approx(0.01293013037687962, rel=1e-15)
    assert found.p[-1] == 0.0


@pytest.mark.parametrize(
    ("counts", "decays"), [((1000, 100, 10), (5e-3,) * 3), ((1000, 100, 14), (2e-3,) * 4)], ids=["M=2", "M=3"]
)
def test_the_smallest_class_is_zero_though_a_root_is_near(counts: tuple[int, ...], decays: Decays) -> None:
    found = deep_linear.minimum(counts, sum(counts), decays)
    assert (found.x > 0).tolist() == [True, True, False]
    least, values = searched(counts, 6, decays)
    assert found.f_min == pytest.approx(least, rel=1e-9)
    assert values[:2] == pytest.approx(found.p[:2].tolist(), rel=1e-5)
    assert values[2] < 1e-6 * sum(counts) * decays[-1]


# ---------------------------------------------------------------------------------------- beside direct minimisation


def near_threshold(counts: tuple[int, ...], which: int, depth: int, ratio: float, spread: Decays) -> Decays:
    """Decays, in the given proportions, for which b of one class is ``ratio`` times beta_M."""
    samples = sum(counts)
    slope = ratio * scalar_problem.threshold(depth)
    product = (slope * counts[which] / (depth * samples)) ** depth / samples
    shift = (product / math.prod(spread)) ** (1 / (depth + 1))
    return tuple(shift * each for each in spread)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("ratio", [0.3, 0.97, 0.999, 1.001, 1.03])
def test_the_closed_form_is_the_least_loss_found(depth: int, ratio: float) -> None:
    counts, spread = (7, 4, 2), (1.0, 3.0, 0.4, 2.0)[: depth + 1]
    decays = near_threshold(counts, 1, depth, ratio, spread)
    found = deep_linear.minimum(counts, 13, decays)
    least, values = searched(counts, 6, decays)
    assert found.f_min == pytest.approx(least, rel=1e-9)
    unit = 13 * decays[-1]
    assert [v / unit for v in values] == pytest.approx(sorted((found.p / unit).tolist(), reverse=True), abs=1e-4)
    assert (found.x[1] > 0) == (ratio < 1)


@pytest.mark.parametrize("depth", [2, 3])
def test_at_a_threshold_either_is_optimal(depth: int) -> None:
    """The loss does not jump across the threshold, though the minimiser does."""
    counts = (7, 4, 2)
    below, above = (
        deep_linear.minimum(counts, 13, near_threshold(counts, 1, depth, ratio, (1.0,) * (depth + 1)))
        for ratio in (1 - 1e-9, 1 + 1e-9)
    )
    assert below.x[1] ** depth == pytest.approx(depth - 1, rel=1e-6)
    assert above.x[1] == 0.0
    assert below.f_min == pytest.approx(above.f_min, rel=1e-7)


def test_ties_are_exact() -> None:
    """M = 2, N = 2, n = 1: b = 4 (2 P)^(1/2) is 1/2 for P = 1/128."""
    decays = (Fraction(1, 8), Fraction(1, 8), Fraction(1, 2))
    tie = deep_linear.minimum((1, 1), 2, decays)
    assert tie.tie.tolist() == [True, True]
    assert tie.x.tolist() == [1.0, 1.0]
    assert tie.f_min == 0.5
    more = deep_linear.minimum((1, 1), 2, (*decays[:2], Fraction(1, 2) + Fraction(1, 10**30)))
    assert more.x.tolist() == [0.0, 0.0]
    less = deep_linear.minimum((1, 1), 2, (*decays[:2], Fraction(1, 2) - Fraction(1, 10**30)))
    assert (less.tie.any(), less.x.tolist()) == (False, [1.0, 1.0])
    cube = deep_linear.minimum((1, 1), 2, (Fraction(1, 27), Fraction(1, 8), Fraction(1, 4), Fraction(1, 27)))
    assert cube.tie.tolist() == [scalar_problem.compare_power(Fraction(6**3 * 2, 27 * 32 * 27), 3) == 0] * 2


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_free_bias_centres_the_targets(depth: int) -> None:
    counts, decays = (7, 4, 2), (0.01, 0.02, 0.015, 0.01)[: depth + 1]
    squares = deep_linear.one_hot(counts, bias=True)
    labels = np.repeat(np.eye(3), counts, axis=1)
    centred = labels - labels.mean(axis=1, keepdims=True)
    assert squares == pytest.approx((np.linalg.svd(centred, compute_uv=False) ** 2).tolist(), abs=1e-12)
    least, _ = searched(counts, 6, decays, bias=True)
    assert deep_linear.minimum(squares, 13, decays).f_min == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_narrow_widths_keep_the_largest(depth: int, width: int) -> None:
    counts, decays = (7, 4, 2), (0.01, 0.02, 0.015, 0.01)[: depth + 1]
    found = deep_linear.minimum(counts, 13, decays, width=width)
    least, values = searched(counts, width, decays)
    assert found.f_min == pytest.approx(least, rel=1e-9)
    assert values == pytest.approx(found.p[:width].tolist(), rel=1e-5)
    assert found.p[width:].tolist() == [0.0] * (3 - width)
    order = deep_linear.minimum((2, 7, 4), 13, decays, width=width)
    assert order.f_min == pytest.approx(found.f_min, rel=1e-15)


def test_any_target() -> None:
    """Regression targets: an encoding that is no permutation of labels."""
    encoding = ((1.0, 0.5, -0.3), (0.2, -1.0, 0.4))
    counts, decays = (3, 2, 2), (0.02, 0.01, 0.02)
    target = np.repeat(np.array(encoding), counts, axis=1)
    squares = np.linalg.svd(target, compute_uv=False) ** 2
    least, values = searched(counts, 6, decays, encoding=encoding)
    found = deep_linear.minimum(squares, 7, decays)
    assert found.f_min == pytest.approx(least, rel=1e-9)
    assert values == pytest.approx(found.p.tolist(), rel=1e-5)


# ---- mutants of the law
def mutant_values(counts: tuple[int, ...], decays: Decays) -> dict[str, float]:
    samples, depth = sum(counts), len(decays) - 1

    def total(slopes: Any, weights: Any) -> float:
        x = scalar_problem.minimiser(slopes, depth).value
        return float(np.sum(weights * scalar_problem.value(x, slopes, depth)) / 2)

    n = np.array(counts, dtype=float)
    product = math.prod(decays)
    right = depth * (samples / n) * (samples * product) ** (1 / depth)
    return {
        "right": total(right, n / samples),
        "without M": total(right / depth, n / samples),
        "n_k/N for N/n_k": total(depth * (n / samples) * (samples * product) ** (1 / depth), n / samples),
        "P for N P": total(depth * (samples / n) * product ** (1 / depth), n / samples),
        "without lam_H": total(depth * (samples / n) * (samples * product / decays[-1]) ** (1 / depth), n / samples),
        "root M + 1": total(depth * (samples / n) * (samples * product) ** (1 / (depth + 1)), n / samples),
        "equal weights": total(right, np.full_like(n, 1 / len(n))),
    }


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_mutants_are_caught(depth: int) -> None:
    counts, decays = (7, 4, 2), (0.01, 0.02, 0.015, 0.01)[: depth + 1]
    least, _ = searched(counts, 6, decays)
    for name, value in mutant_values(counts, decays).items():
        same = value == pytest.approx(least, rel=1e-6)
        assert same == (name == "right" or (name == "without M" and depth == 1)), name


# ---------------------------------------------------------------------------------------------------- what predict says


def predicted(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    sets = [each for word in words[1:] for each in ("--set", word)]
    code = cli.main(["predict", f"dang2023/{words[0]}", *sets, "--json"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_imbalanced_deep(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = predicted(capsys, "imbalanced-deep", "n=20,10,5,5", "lam_W=0.002,0.003", "lam_H=0.001")
    data = json.loads(out)
    assert code == 0
    assert list(data["values"]) == ["b", "x", "p", "f_min"]
    assert data["values"]["f_min"] == pytest.approx(0.022459519558899882, rel=1e-15)
    assert data["values"]["p"] == pytest.approx(REFERENCES["(ii)"][3], abs=1e-5)
    shuffled = papers.predict("dang2023/imbalanced-deep", n=(5, 20, 5, 10), lam_W="0.002,0.003", lam_H="0.001")
    assert shuffled["values"]["p"] == [data["values"]["p"][k] for k in (2, 0, 3, 1)]
    repeated = papers.predict("dang2023/imbalanced-deep", n=(20, 10), lam_W="0.002", lam_H="0.001", M=3)
    spelled = papers.predict("dang2023/imbalanced-deep", n=(20, 10), lam_W="0.002,0.002,0.002", lam_H="0.001")
    assert repeated["values"] == spelled["values"]


def test_imbalanced_lengths(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = predicted(capsys, "imbalanced-lengths", "n=20,10,5,5", "lam_W=0.005", "lam_H=0.0005")
    data = json.loads(out)["values"]
    assert data["s2"] == pytest.approx([1.39421, 0.98, 0.68711, 0.68711], abs=1e-5)
    assert data["f_min"] == pytest.approx(0.01894213562373095, rel=1e-15)


def test_certified_digits() -> None:
    given = {"n": (20, 10, 5, 5), "lam_W": "0.002,0.003", "lam_H": "0.001"}
    floats = papers.predict("dang2023/imbalanced-deep", **given)["values"]
    digits = papers.predict("dang2023/imbalanced-deep", digits=40, **given)["values"]
    for name, found in digits.items():
        assert np.array(found, dtype=float) == pytest.approx(np.array(floats[name]), rel=1e-14)
    assert digits["f_min"].startswith("0.02245951955889988")
    exact = papers.predict("dang2023/imbalanced-lengths", n=(4, 1), lam_W="0.1", lam_H="0.1", digits=6)["values"]
    assert exact == {"s2": ["1.50000", "0.500000"], "f_min": "0.250000"}
    beyond = papers.predict("dang2023/imbalanced-deep", n=(4, 1), lam_W="1e-900", lam_H="1e-900", digits=3)
    assert beyond["values"]["x"][0].startswith("4.00")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("n=0,1", "lam_W=1", "lam_H=1"), "n (class sizes): expected integers >= 1"),
        (("n=1.5", "lam_W=1", "lam_H=1"), "got 1.5"),
        (("n=3,4", "lam_W=0", "lam_H=1"), "expected finite numbers > 0"),
        (("n=3,4", "lam_W=1", "lam_H=-1"), "lam_H"),
        (("n=3,4", "lam_W=1,2", "lam_H=1", "M=3"), "lam_W: expected one decay, or M = 3, got 2"),
        (("n=3,4", "lam_W=1", "lam_H=1", "M=0"), "M (number of layers): expected an integer >= 1, got 0"),
        (("n=3,4", "lam_W=1", "lam_H=1", "K=2"), "unknown name 'K'"),
        (("n=3,4", "lam_W=1"), "no value for lam_H"),
        (("n=3,4", "lam_W=1e-400", "lam_H=1"), "beyond the range of floats"),
        (("n=", "lam_W=1", "lam_H=1"), "got nothing"),
    ],
)
def test_wrong_input_is_one_line(words: tuple[str, ...], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = predicted(capsys, "imbalanced-deep", *words)
    assert (code, out) == (2, "")
    assert err.startswith("tightframe: ")
    assert err.count("\n") == 1
    assert expected in err


def test_many_classes(tmp_path: Path) -> None:
    """10^5 in one call; that it is quick is for the benchmarks to say."""
    sizes = np.random.default_rng(0).integers(1, 10**5, 10**5).tolist()
    path = tmp_path / "sizes.txt"
    path.write_text("\n".join(map(str, sizes)))
    given = {"lam_W": "1e-7,1e-7", "lam_H": "1e-7"}
    found = papers.predict("dang2023/imbalanced-deep", n=f"@{path}", **given)["values"]
    assert len(found["p"]) == 10**5
    few = papers.predict("dang2023/imbalanced-deep", n=sizes, **given)["values"]
    assert few == found
    assert any(x == 0 for x in found["x"])
    assert any(x > 0 for x in found["x"])


@pytest.mark.parametrize(
    "call",
    [
        lambda: deep_linear.minimum((1, 2), 0, (0.1, 0.1)),
        lambda: deep_linear.minimum((1, 2), 3, (0.1,)),
        lambda: deep_linear.minimum((1, 2), 3, (0.1, math.inf)),
        lambda: deep_linear.minimum((1, -2), 3, (0.1, 0.1)),
        lambda: deep_linear.minimum((), 3, (0.1, 0.1)),
        lambda: deep_linear.minimum((1, 2), 3, (0.1, 0.1), width=0),
        lambda: deep_linear.one_hot((1, 0)),
    ],
)
def test_what_is_no_model_is_refused(call: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        call()
