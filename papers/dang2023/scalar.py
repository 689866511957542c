"""The scalar problem of dang2023: the minimisers of 1/(1 + x^M) + b x, and the threshold beta_M."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...theory import scalar_problem
from ...theory.symbols import integers, reals
from ..claim import Claim
from ..domain import Domain, Parameter
from ..evidence import Comparison, Kind, Verdict
from ..prediction import Input, Prediction, to_float
from .critical_points import VERSION

problem = scalar_problem.scalar_problem()
DEPTH = Parameter(scalar_problem.M, integers(1), "number of layers M")
SLOPE = Parameter(scalar_problem.b, reals(0, open=True), "slope b")
DOMAIN = Domain(
    (
        DEPTH,
        Parameter(scalar_problem.x, reals(0, open=True), "any positive number"),
        SLOPE,
        Parameter(problem.root, reals(0, open=True), "the larger root of the stationarity equation"),
        Parameter(problem.threshold, reals(0, open=True), "threshold beta_M"),
        Parameter(problem.other, reals(0), "the other minimiser at the threshold"),
        Parameter(problem.excess, reals(0, open=True), "by how much the threshold is exceeded"),
    )
)
setting = problem.setting(DOMAIN.ranges)


def simulate(values: Mapping[str, Any], seed: int) -> Comparison:
    """The least of 1/(1 + x^M) + b x on a grid, refined between neighbours, beside the value of the minimiser."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    depth, b = values["M"], values["b"]

    def objective(log_x: Any) -> Any:
        power = np.exp(np.minimum(depth * log_x, 700.0))
        return 1 / (1 + power) + b * np.exp(log_x)

    grid = np.linspace(-12.0, 2.0 + max(0.0, -np.log(b)), 4001)  # at 1/b the second term is one already
    best = int(np.argmin(objective(grid)))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    refined = float(minimize_scalar(objective, bounds=ends, method="bounded", options={"xatol": 1e-12}).fun)
    predicted = scalar_problem.minimiser(b, depth)
    least = float(scalar_problem.value(predicted.value, b, depth))
    return Comparison([min(1.0, refined)], [least], 1e-10, objective(grid).tolist(), predicted.converged)


def predict(values: Mapping[str, Any], digits: int | None) -> dict[str, Any]:
    depth, slope = values["M"], values["b"]
    scalar_problem.check_depth(depth)
    tie = scalar_problem.compare(slope, depth) == 0 and depth > 1
    if digits is not None:
        found = scalar_problem.certified(slope, depth, digits)
        return {**found, "minimisers": ["0", found["x"]] if tie else [found["x"]]}
    solution = scalar_problem.minimiser(to_float("b", slope), depth, signs_of(slope, depth))
    if not solution.converged:
        raise ArithmeticError(f"Newton's method did not converge in {solution.stats.steps} steps")
    x = float(solution.value)
    return {"x": x, "threshold": scalar_problem.threshold(depth), "minimisers": [0.0, x] if tie else [x]}


def signs_of(slope: Any, depth: int) -> Any:
    import numpy as np

    return np.int8(scalar_problem.compare(slope, depth))


PREDICTION = Prediction((Input("M", DEPTH.range, DEPTH.says), Input("b", SLOPE.range, SLOPE.says)), predict)

CLAIMS = (
    Claim(
        "dang2023/scalar-minimiser",
        "The scalar problem: zero is its minimiser above the threshold, the larger root below it, and both are at it",
        Kind.OPTIMUM,
        problem.statement,
        setting,
        DOMAIN,
        lambda: scalar_problem.minimisers(problem, setting),
        simulate,
        Verdict.PROVED,
        version=VERSION,
        locator="section 3",
        notes="The larger root is the one with r^M >= M - 1. It exists for b <= beta_M and not beyond: the slope "
        "M x^(M-1) / (1 + x^M)^2 is beta_M at x^M = M - 1 and decreases to zero from there. Any positive x exceeds "
        "g_b(r) or equals it, and g_b(0) = 1. At beta_M the root is (M-1)^(1/M), which is 0 itself if M = 1.",
        predict=PREDICTION,
    ),
)
