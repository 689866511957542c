"""Simulated flows beside the theory: every comparison notices a flow, a projection or a clock that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tightframe.numerics import flow
from tightframe.numerics.solution import Solution
from tightframe.papers.evidence import holds_in
from tightframe.papers.han2022 import growth
from tightframe.papers.registry import find

VALUES = {"C": 3, "N": 4, "p": 3, "w": 0.7, "epsilon": 0.5}


def agrees(name: str, seed: int = 5) -> bool:
    claim = find(name)
    values = {parameter.symbol.name: VALUES[parameter.symbol.name] for parameter in claim.domain.parameters}
    comparison = claim.compare(values, seed)
    return comparison.converged and holds_in(claim.kind, comparison)


def clock(factor: float) -> Callable[..., Any]:
    """The flow of class means, by a clock that is slow or fast."""
    run = flow.class_mean_flow

    def late(*arguments: Any, **options: Any) -> Any:
        solution = run(*arguments, **options)
        value = replace(solution.value, times=solution.value.times * factor)
        return Solution(value, solution.result, solution.stats)

    return late


def backwards(path: Callable[..., growth.Path]) -> Callable[..., growth.Path]:
    """The times of a path with its states in reverse."""

    def reversed_path(*arguments: Any) -> growth.Path:
        found = path(*arguments)
        return replace(found, means=found.means.flip(0), values=found.values[::-1])

    return reversed_path


WRONG: dict[str, list[tuple[Any, str, Any]]] = {
    "han2022/tangent-projection": [
        (flow, "tangent_projection", lambda velocity, features: velocity),
        (
            flow,
            "tangent_projection",
            lambda velocity, features: 2 * flow._tangent_projection(velocity, features.values) - velocity,
        ),
    ],
    "han2022/snr-flow": [
        (flow, "central_path_flow", flow.unprojected_flow),
        (flow, "feature_gradient", lambda features: flow._feature_gradient(features.values, features.one_hot) * 1.001),
        (flow, "tangent_projection", lambda velocity, features: velocity),
    ],
    "han2022/closed-form": [(flow, "class_mean_flow", clock(1.001)), (flow, "class_mean_flow", clock(0.25))],
    "han2022/growth": [(flow, "class_mean_flow", clock(1.1)), (growth, "simulated_path", backwards)],
    "han2022/equalisation": [(growth, "simulated_path", backwards)],
    "han2022/loss-decay": [(flow, "class_mean_flow", clock(1.1))],
    "han2022/collapse-limit": [(flow, "class_mean_flow", clock(1.1)), (growth, "simulated_path", backwards)],
    "tightframe/growth-next-order": [(flow, "class_mean_flow", clock(1.001)), (growth, "simulated_path", backwards)],
    "tightframe/unprojected-flow": [(flow, "unprojected_flow", flow.central_path_flow)],
}
CASES = [(name, *change) for name, changes in WRONG.items() for change in changes]


@pytest.mark.parametrize("name", WRONG)
def test_simulation_agrees(name: str) -> None:
    assert agrees(name)


@pytest.mark.parametrize(("name", "module", "attribute", "wrong"), CASES)
def test_a_wrong_flow_is_noticed(
    name: str, module: Any, attribute: str, wrong: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, attribute, wrong(getattr(module, attribute)) if wrong is backwards else wrong)
    assert not agrees(name)


def test_steps_that_are_too_long_are_not_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "STEPS_PER_DECADE", 2)
    claim = find("han2022/growth")
    assert not claim.compare({"C": 3, "N": 4, "w": 0.7}, 5).converged


def test_a_path_starts_at_the_drawn_value() -> None:
    path = growth.simulated_path({"C": 4, "N": 3, "w": 2.0}, 1, 1e4)
    assert torch.as_tensor(path.values[0]).sub(2.0).abs().min() < 1e-12
