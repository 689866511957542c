"""Deep ReLU models: the gradient beside autograd, the structures through a forward pass, and where they win."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tightframe import papers
from tightframe.numerics import deep_relu, initialisers
from tightframe.numerics.deep_linear import DeepLinearUFM, Factors
from tightframe.numerics.low_rank import paired
from tightframe.papers.garrod2025 import relu
from tightframe.theory import relu_structure


@pytest.mark.parametrize("loss", ["ce", "mse"])
@pytest.mark.parametrize("collapsed", [False, True])
def test_the_gradient_is_that_of_autograd(loss: Any, collapsed: bool) -> None:
    model = DeepLinearUFM((3, 1, 4), widths=(5, 6, 4), depth=3, decays=(0.1, 0.2, 0.3, 0.05), loss=loss)
    start = initialisers.gaussian(model, seed=1, scale=1.0, batch=(2,), collapsed=collapsed)
    point = start.map(lambda tensor: tensor.clone().requires_grad_())
    wanted = torch.autograd.grad(deep_relu.objective(model, point).sum(), point.tensors)
    _, found = model.evaluate(start, None, deep_relu.value_and_gradient)
    for one, two in zip(found.tensors, wanted, strict=True):
        assert torch.allclose(one, two, atol=1e-13)
    linear = model.gradient(start)
    assert not torch.allclose(linear.weights[0], wanted[0], atol=1e-3)  # the linear model has another one


def test_class_means_stand_for_collapsed_samples() -> None:
    model = DeepLinearUFM((3, 2), widths=4, depth=3, decays=0.1, loss="ce")
    means = initialisers.gaussian(model, seed=0, scale=1.0, collapsed=True)
    samples = replace(means, features=means.features.repeat_interleave(torch.tensor([3, 2]), dim=-1))
    assert float(deep_relu.objective(model, means)) == pytest.approx(
        float(deep_relu.objective(model, samples)), rel=1e-13
    )
    with pytest.raises(ValueError, match="expected a model without a bias"):
        deep_relu.objective(replace(model, bias=True), means)


def test_descent_ends_below_its_start_and_says_whether_it_converged() -> None:
    model = DeepLinearUFM((1,) * 3, widths=6, depth=2, decays=0.005, loss="ce")
    start = initialisers.gaussian(model, seed=0, scale=0.6, batch=(3,), collapsed=True)
    found = deep_relu.minimise(model, start, iterations=150)
    assert bool((found.stats.loss < deep_relu.objective(model, start)).all())
    assert torch.allclose(found.stats.loss, deep_relu.objective(model, found.value), rtol=1e-13)
    assert found.converged == bool(found.stats.converged.all())


# ------------------------------------------------------------------------------------------------ structures
@pytest.mark.parametrize(("classes", "depth"), [(6, 2), (7, 2), (10, 5), (11, 4)])
def test_relu_leaves_the_structures_as_they_are(classes: int, depth: int) -> None:
    for make, logits in (
        (relu.witness, paired(classes)),
        (relu.identity_collapse, relu.simplex_logits(classes)),
    ):
        point = make(classes, 3, classes + 1, depth, 2.5)
        wanted = 2.5 * logits.repeat_interleave(3, dim=-1)
        assert torch.allclose(deep_relu.outputs(point), wanted, atol=1e-12)
        assert torch.allclose(point.product @ point.features, wanted, atol=1e-12)
        norms = torch.tensor([float(tensor.square().sum()) for tensor in point.tensors])
        assert torch.allclose(norms, norms[0].expand_as(norms), rtol=1e-5)


def test_without_the_shift_relu_changes_the_logits() -> None:
    X = paired(6)
    root, _ = relu.square_roots(X)
    point = relu.balanced([(root, root, X / 2, X)], [1.0])
    assert torch.allclose(point.product @ point.features, X, atol=1e-12)
    assert not torch.allclose(deep_relu.outputs(point), X, atol=1e-2)


def test_no_collapse_has_less_decay_than_the_bound() -> None:
    """Layers that make a simplex ETF of a simplex ETF through ReLU, by a shift of any size."""
    classes = 5
    identity, simplex = torch.eye(classes, dtype=torch.float64), relu.simplex_logits(classes)
    for shift in (-3.0, -1.0, 0.0, 0.7, 1.0, 4.0):
        weights = simplex + shift / classes
        after = (weights @ identity).clamp(min=0)
        spread = float((after @ simplex).norm() / (classes - 1) ** 0.5)
        if spread > 0:
            assert float(weights.square().sum()) >= (classes - 1) * spread**2 - 1e-12
    # The identity is the cheapest of these; the bound is not attained.
    assert float(identity.square().sum()) > classes - 1


# ------------------------------------------------------------------------------------------------ where they win
def test_the_thresholds_are_those_of_exact_integers() -> None:
    for (low, high), least in relu_structure.LEAST.items():
        for depth in range(low, (high or 30) + 1):
            assert not relu_structure.fewer(least - 1, depth)
            assert all(relu_structure.fewer(pairs, depth) for pairs in range(least, 200))
    assert not any(relu_structure.fewer(pairs, depth) for pairs in (1, 2) for depth in range(2, 200))


def test_theorem_7_is_sharp_at_five_layers_only() -> None:
    found = {
        (classes, depth): papers.predict("tightframe/relu-pairs", K=classes, L=depth)["values"]
        for classes in range(4, 20)
        for depth in range(2, 12)
    }
    assert all(each["fewer_decays"] for each in found.values() if each["theorem_7"])
    missed = {cell for cell, each in found.items() if each["fewer_decays"] and not each["theorem_7"]}
    assert {(14, 4), (15, 4), (8, 6), (9, 7), (6, 8), (7, 11)} <= missed
    assert not any(depth == 5 for _, depth in missed)


def test_the_experiment_compares_with_every_collapse() -> None:
    numbers = papers.simulate("garrod2025-relu", K=8, L=6, starts=2, iterations=30)
    (cell,) = numbers["cells"]
    assert cell["fewer_decays"]
    assert not cell["theorem_7"]
    assert cell["pairs"] < cell["dnc_bound"] < cell["dnc_identity"]
    assert isinstance(relu.summary(numbers), list)
    assert relu.figure(numbers) is not None
    with pytest.raises(ValueError, match="L: expected at most 20, got 21"):
        papers.simulate("garrod2025-relu", L=21)


def test_the_best_scale_is_found_by_forward_passes() -> None:
    model = relu.model_of(6, 1, 6, 4, 0.0005)
    unit = relu.witness(6, 1, 6, 4, 1.0)
    least = relu.best_loss(model, unit)
    for scale in (1.0, 3.0, 6.0, 9.0, 12.0):
        root = scale**0.2
        assert float(deep_relu.objective(model, unit.map(lambda x, r=root: r * x))) >= least - 1e-12
    assert isinstance(unit, Factors)


def test_a_quarter_circle_beats_the_bound_of_collapse_where_it_is_said_to() -> None:
    """A forward pass: rank two, gaps of one and more, and fewer squares than neural collapse of the scale one."""
    for classes, depth, per_class in ((4, 9, 1), (4, 10, 1), (5, 8, 2), (6, 6, 1), (6, 7, 1)):
        point = relu.quarter_circle(classes, per_class, classes + 1, depth, 1.0)
        logits = deep_relu.outputs(point)[:, ::per_class]
        gaps = logits.diagonal() - logits + 2 * torch.eye(classes, dtype=torch.float64)
        assert float(gaps.min()) == pytest.approx(1.0, abs=1e-12)
        assert all(bool((each >= -1e-12).all()) for each in deep_relu.hidden(point)[1:])
        assert all(int(torch.linalg.matrix_rank(each)) == 2 for each in point.weights)
        squares = sum(float(each.square().sum()) for each in point.tensors)
        bound = (depth + 1) * (classes - 1) * per_class ** (1 / (depth + 1))
        assert (squares < bound) == relu_structure.quarter_circle_wins(classes, depth)
