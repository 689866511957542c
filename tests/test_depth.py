"""Growing depth and classes of several sizes: what is proved of minima, beside minima that a search finds."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from tightframe import papers
from tightframe.numerics import low_rank
from tightframe.papers.garrod2025 import depth, imbalance
from tightframe.papers.garrod2025.losses import simplex_logits


def test_zero_is_the_only_minimum_where_the_decay_is_strong() -> None:
    """At lam (L+1) = 2 log K no start ends elsewhere; at a third of it one does."""
    for layers in (1, 3):
        decay = 2 * math.log(4) / (layers + 1)
        strong, weak = (depth.minimum((1,) * 4, layers, share * decay, 0, starts=4) for share in (1, 0.1))
        assert int(strong.value.rank) == 0
        assert float(strong.value.losses.min()) >= math.log(4) - 1e-9
        assert int(weak.value.rank) > 0


def test_the_rank_of_the_minimum_falls_to_two() -> None:
    """K = 4, lam = 0.3/(L+1)^2: neural collapse at L = 1, rank two at L = 4, diagonally superior at both."""
    numbers = papers.simulate("garrod2025-depth", K=4, L="1,4", starts=4)
    rows = {(row["L"], row["regime"]): row for row in numbers["rows"]}
    assert rows[1, "weak"]["rank"] == 3
    assert rows[4, "weak"]["rank"] == 2
    assert all(rows[layers, "weak"]["superior"] for layers in (1, 4))
    assert all(rows[layers, "strong"]["rank"] == 0 and rows[layers, "strong"]["only_zero"] for layers in (1, 4))
    for row in rows.values():
        sizes = row["singular_values"]
        assert not row["certain"] or row["rank"] == 0 or sizes[2] / sizes[0] <= row["third_over_first"] + 1e-9
    assert len(depth.summary(numbers)) == 7
    assert depth.figure(numbers) is not None


def test_the_exact_condition_holds_in_deep_models_and_not_in_shallow_ones() -> None:
    def predicted(layers: int, lam: str) -> bool:
        return bool(papers.predict("tightframe/exact-rank", K=4, L=layers, lam=lam)["values"]["rank_at_most_2"])

    assert not predicted(5, "0.001")
    assert predicted(200, "0.001")
    assert not predicted(200, "0.00000000000000000000000001")  # lam below (2/3)^(L/2)
    with pytest.raises(ValueError, match="expected at least 3"):
        papers.predict("garrod2025/global-rank-decay", K=2, L=3, lam="0.1")


def test_the_floor_is_that_of_a_critical_point() -> None:
    """Two classes: the least singular value of a critical point, at any lam, beside the floor of the prediction."""
    for layers in (2, 3, 5):
        decay = Fraction(1, 50)
        found = depth.minimum((1, 1), layers, float(decay), 0, starts=4)
        floor = papers.predict("tightframe/exact-rank", K=3, L=layers, lam=decay)["values"]["floor"]
        two = (float(decay) ** 2) ** ((layers + 1) / (2 * (layers - 1)))
        assert floor > two
        assert float(found.value.singular_values[0]) > two


# ------------------------------------------------------------------------------------------------ several sizes
def test_step_imbalance() -> None:
    assert imbalance.step_sizes(5, 10, 2) == (10, 10, 10, 1, 1)
    assert imbalance.step_sizes(4, 3, 1, least=2) == (6, 6, 6, 2)


def test_a_circle_beats_simplex_encoded_labels_from_a_depth_on() -> None:
    """At the best scale of both; at L = 1 and a small decay it is the other way round."""
    sizes = imbalance.step_sizes(4, 10, 2)
    least = papers.predict("garrod2025/imbalanced-dnc", K=4, R=10)["values"]["least_depth"]

    def best(layers: int, logits: torch.Tensor) -> float:
        return float(low_rank.best_scale(imbalance.model_of_sizes(sizes, layers, 0.0001), logits).value.loss)

    circle, encoded = imbalance.circle_logits(4), simplex_logits(4)
    assert best(least, circle) < best(least, encoded)
    assert best(1, circle) > best(1, encoded)
    with pytest.raises(ValueError, match="expected at least 4"):
        papers.predict("garrod2025/imbalanced-dnc", K=3, R=10)


def test_one_layer_tends_to_simplex_encoded_labels_and_deep_models_do_not() -> None:
    numbers = papers.simulate("imbalanced-depth", R=4, L="1,3", lam="0.01,0.0001", starts=4)
    rows = {(row["L"], row["lam"]): row for row in numbers["rows"]}
    assert rows[1, 0.0001]["distance_from_sel"] < 0.7 * rows[1, 0.01]["distance_from_sel"]
    assert rows[1, 0.0001]["loss"] == pytest.approx(rows[1, 0.0001]["sel"], rel=0.05)
    assert rows[3, 0.0001]["loss"] < rows[3, 0.0001]["sel"] * (1 - 1e-4)
    assert rows[3, 0.0001]["rank"] < 3
    assert len(imbalance.summary(numbers)) == 8
    assert imbalance.figure(numbers) is not None
    with pytest.raises(ValueError, match="fewer minority classes"):
        papers.simulate("imbalanced-depth", minority=4)


def test_losses_of_labels_and_circle_are_those_of_balanced_factors() -> None:
    """Certified along the scale, beside a search along it in floats, for sizes of two and of many kinds."""
    for sizes, layers, lam in (((10, 10, 1, 1), 3, 0.001), ((7, 10, 3, 1, 2), 2, 0.0005), ((2, 2, 2, 2), 1, 0.01)):
        found = papers.predict("garrod2025/imbalanced-dnc", sizes=sizes, L=layers, lam=str(lam))["values"]
        model = imbalance.model_of_sizes(sizes, layers, lam)
        named = {"simplex_encoded": simplex_logits(len(sizes)), "circle": imbalance.circle_logits(len(sizes))}
        for name, logits in named.items():
            assert found[name] == pytest.approx(float(low_rank.best_scale(model, logits).value.loss), rel=1e-8)
        assert found["circle_wins"] == (found["circle"] < found["simplex_encoded"])


def test_balanced_sizes_give_the_loss_of_neural_collapse() -> None:
    ours = papers.predict("garrod2025/imbalanced-dnc", digits=30, sizes=(2,) * 4, L=2, lam="0.001")["values"]
    known = papers.predict("garrod2025/dnc-loss", digits=30, K=4, n=2, L=2, lam="0.001")["values"]
    assert ours["simplex_encoded"] == known["loss"]


def test_what_does_not_fit_is_refused() -> None:
    for given, words in (
        ({"K": 4}, "K and R, or sizes"),
        ({"K": 4, "R": 2, "sizes": (1, 1, 1, 1)}, "either these or sizes"),
        ({"sizes": (1, 1, 1, 1), "L": 2}, "expected both"),
        ({"K": 4, "R": "1/2"}, "at least 1"),
    ):
        with pytest.raises(ValueError, match=words):
            papers.predict("garrod2025/imbalanced-dnc", **given)


def test_bounds_of_depth_have_certified_digits() -> None:
    found = papers.predict("tightframe/exact-rank", digits=12, K=4, L=3, lam="0.1")["values"]
    assert found["floor"] == "0.0200000000000"  # lam^2 K n / 2, a rational number
    assert papers.predict("tightframe/exact-rank", K=4, L=3, lam="0.1")["values"]["floor"] == 0.02
    deep = papers.predict("tightframe/exact-rank", digits=8, K=4, L=5, lam="0.001")["values"]
    assert deep["third_over_first"] == "0.83805248"
    assert float(deep["third_over_first"]) == pytest.approx(2**0.5 * 2 * (2 / 3) ** 3, rel=1e-7)
