"""Gradient ascent on the violation of a claim, in torch, over many starts at once.

The violation is minus the slack of an inequality (the least eigenvalue, of what is to be psd), the norm of the
difference of an equation, or by how much a point undercuts a minimum. What it finds in floating point is no
counterexample; rounded to fractions, it is one if the exact evaluation says so.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.special import Identity, OneMatrix

from ...theory.proof import statement as st
from .sampling import Sampler

if TYPE_CHECKING:
    from .refutation import Trial

BATCH, STEPS, RATE = 64, 150, 0.05
DENOMINATORS = (1, 2, 4, 10, 100, 10_000)
ROUNDED = 12  # starts of a batch that are made exact, those of the largest violation
HOLDS = 1e-6  # by how much hypotheses may fail, in all, where they are said to hold in floating point


class Unsuited(Exception):
    """The claim, or its symbols, have no reading in torch."""


def search(trial: Trial, rng: random.Random) -> str | None:
    """Look for a counterexample; what is found is kept in ``trial.best``. Returns why it does not apply, if so."""
    import torch

    sampler = trial.claim.setting.sample
    if not isinstance(sampler, Sampler) or sampler.given is not None:
        return "not for claims that draw their own examples"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trial.begin()  # loading torch is not searching
    runs, highest = 0, float("-inf")
    while not trial.late:
        drawn = sampler(rng)
        try:
            runs += BATCH
            for height, values in climbed(trial, sampler, drawn, rng, device):
                highest = max(highest, height)
                for candidate in rounded(values, trial, rng):
                    if trial.take(candidate):
                        return None
        except Unsuited as error:
            return str(error)
    if highest == float("-inf"):
        return f"{runs} starts, none of which ended where the hypotheses are seen to hold"
    where = " where the hypotheses hold" if sampler.hypotheses else ""
    return f"{runs} starts, violation at most {highest:.1e}{where}"


def climbed(
    trial: Trial, sampler: Sampler, drawn: Mapping[Any, Any], rng: random.Random, device: str
) -> Iterator[tuple[float, dict[Any, Any]]]:
    """A batch of ascents at the sizes of an example: where the violation is high, and its height.

    The height is the largest of the batch where the hypotheses hold; minus infinity if they hold nowhere.
    """
    import torch

    source = torch.Generator().manual_seed(rng.randrange(2**31))
    scale = 10 ** (3 * torch.rand(BATCH, generator=source, dtype=torch.float64) - 1.5)
    free: dict[Any, Any] = {}
    makers: dict[Any, Callable[[Any], Any]] = {}
    fixed = {p.symbol: drawn[p.symbol] for p in sampler.domain.parameters if p.range.integer}
    for parameter in sampler.domain.parameters:
        if parameter.symbol in fixed:
            continue
        free[parameter.symbol] = scale * torch.randn(BATCH, generator=source, dtype=torch.float64)
        low = parameter.range.low
        makers[parameter.symbol] = _identity if low is None else _above(float(low))
    for shape in sampler.shapes:
        rows, cols = len(drawn[shape.symbol]), len(drawn[shape.symbol][0])
        start = torch.randn(BATCH, rows, cols, generator=source, dtype=torch.float64)
        free[shape.symbol] = scale[:, None, None] * start
        makers[shape.symbol] = FORMS[shape.form]
    free = {symbol: value.to(device).requires_grad_() for symbol, value in free.items()}
    if not free:
        raise Unsuited("not where nothing is continuous")

    def values() -> dict[Any, Any]:
        found = {
            symbol: torch.full((BATCH,), float(x), dtype=torch.float64, device=device) for symbol, x in fixed.items()
        }
        found |= {symbol: makers[symbol](x) for symbol, x in free.items()}
        for symbol, value in sampler.assignments():
            found[symbol] = evaluate(value, found, sampler.definitions, fixed)
        return found

    moments = {symbol: (torch.zeros_like(x), torch.zeros_like(x)) for symbol, x in free.items()}
    for count in range(1, STEPS + 1):
        here = values()
        height = violation(trial.claim.statement, here, sampler.definitions, fixed)
        for hypothesis in sampler.hypotheses:
            height = height - 10 * penalty(hypothesis.statement, here, sampler.definitions, fixed)
        if not height.requires_grad:
            raise Unsuited("not where the violation does not depend on what is continuous")
        total = torch.nan_to_num(height, nan=-1e6, posinf=1e6, neginf=-1e6).sum()
        slopes = torch.autograd.grad(total, list(free.values()), allow_unused=True)
        _adam(free, moments, slopes, count)
        if trial.late:
            break
    with torch.no_grad():
        here = values()
        height = torch.nan_to_num(violation(trial.claim.statement, here, sampler.definitions, fixed), nan=-1e6)
        failing, ranked = torch.zeros_like(height), height
        for hypothesis in sampler.hypotheses:
            failing = failing + penalty(hypothesis.statement, here, sampler.definitions, fixed, unread=float("inf"))
            ranked = ranked - 10 * penalty(hypothesis.statement, here, sampler.definitions, fixed)
        admissible = torch.nan_to_num(failing, nan=float("inf")) <= HOLDS
        highest = float(torch.where(admissible, height, float("-inf")).max())
        raw = {symbol: value.detach().cpu() for symbol, value in here.items()}
    for index in torch.argsort(torch.nan_to_num(ranked, nan=-1e6), descending=True)[:ROUNDED].tolist():
        found: dict[Any, Any] = dict(fixed)
        found |= {symbol: raw[symbol][index].tolist() for symbol in free}
        yield highest, found


def _adam(free: Mapping[Any, Any], moments: Mapping[Any, Any], slopes: Any, count: int) -> None:
    """A step of Adam (Kingma and Ba 2015); ``torch.optim`` takes seconds to load."""
    import torch

    with torch.no_grad():
        for (symbol, value), slope in zip(free.items(), slopes, strict=True):
            if slope is None:
                continue
            slope = torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
            first, second = moments[symbol]
            first.mul_(0.9).add_(slope, alpha=0.1)
            second.mul_(0.999).addcmul_(slope, slope, value=0.001)
            value += RATE * (first / (1 - 0.9**count)) / ((second / (1 - 0.999**count)).sqrt() + 1e-12)


def rounded(values: Mapping[Any, Any], trial: Trial, rng: random.Random) -> Iterator[Any]:
    """Exact values near floating-point ones, the simplest first."""

    def simple(x: Any, bound: int) -> Any:
        if isinstance(x, list):
            return [simple(each, bound) for each in x]
        return x if isinstance(x, int) else Fraction(x).limit_denominator(bound)

    for bound in DENOMINATORS:
        try:
            found = trial.fitted(rng, {symbol: simple(value, bound) for symbol, value in values.items()})
        except (OverflowError, ValueError):
            return
        if found is not None:
            yield found


# ------------------------------------------------------------------------------------------------------ what is free


def _identity(x: Any) -> Any:
    return x


def _above(low: float) -> Callable[[Any], Any]:
    import torch

    return lambda x: low + torch.nn.functional.softplus(x)


def _orthonormal(x: Any) -> Any:
    import torch

    return torch.linalg.qr(x).Q


FORMS: dict[str, Callable[[Any], Any]] = {
    "any": _identity,
    "symmetric": lambda x: (x + x.mT) / 2,
    "psd": lambda x: x @ x.mT,
    "pd": lambda x: x @ x.mT + 1e-3 * _eye(x),
    "orthonormal": _orthonormal,
}


def _eye(x: Any) -> Any:
    import torch

    return torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)


# -------------------------------------------------------------------------------------------------------- violation


def violation(says: st.Statement, values: Mapping[Any, Any], definitions: Mapping[Any, Any], sizes: Any) -> Any:
    """By how much a statement fails, for each example of a batch; at most zero where it holds.

    Raises:
        Unsuited: for statements that are not read.
    """
    import torch

    def at(expr: Any) -> Any:
        return evaluate(expr, values, definitions, sizes)

    match says:
        case st.Equal(left, right) | st.Identity(left, right):
            difference = at(left) - at(right)
            return difference.abs() if difference.ndim == 1 else difference.flatten(1).norm(dim=1)
        case st.Nonnegative(scalar) | st.Positive(scalar):
            return -at(scalar)
        case st.Exceeds(left, right):
            return at(right) - at(left)
        case st.PositiveSemidefinite(matrix) | st.PositiveDefinite(matrix):
            found = at(matrix)
            return -torch.linalg.eigvalsh((found + found.mT) / 2)[:, 0] + (found - found.mT).flatten(1).norm(dim=1)
        case st.Minimum(objective, over, _, value):
            least = evaluate(value, {s: x for s, x in values.items() if s not in over}, definitions, sizes)
            return least - at(objective)
        case st.AllOf(parts):
            return torch.stack([violation(part, values, definitions, sizes) for part in parts]).amax(dim=0)
        case st.AnyOf(parts):
            return torch.stack([violation(part, values, definitions, sizes) for part in parts]).amin(dim=0)
        case _:
            raise Unsuited(f"not for a statement of the form {type(says).__name__}")


def penalty(
    says: st.Statement, values: Mapping[Any, Any], definitions: Mapping[Any, Any], sizes: Any, unread: float = 0.0
) -> Any:
    """Zero where a hypothesis holds; ``unread`` for what cannot be read and is left to the exact evaluation."""
    import torch

    try:
        return torch.clamp(violation(says, values, definitions, sizes), min=0)
    except Unsuited:
        some = next(iter(values.values()))
        return torch.full((BATCH,), unread, dtype=torch.float64, device=some.device)


def evaluate(expression: Any, values: Mapping[Any, Any], definitions: Mapping[Any, Any], sizes: Any) -> Any:
    """A scalar (shape ``(batch,)``) or matrix expression (``(batch, rows, columns)``) in torch, with gradients.

    Raises:
        Unsuited: for functions that are not read.
    """
    import torch

    some = next(iter(values.values()))

    def size(expr: Any) -> int:
        return int(sp.sympify(expr, strict=True).subs(sizes))

    def constant(x: float) -> Any:
        return torch.full((BATCH,), x, dtype=torch.float64, device=some.device)

    def walk(expr: Any) -> Any:
        if expr in values:
            return values[expr]
        if expr in definitions:
            return walk(definitions[expr])
        if isinstance(expr, sp.Number | sp.NumberSymbol):
            return constant(float(expr))
        if isinstance(expr, Identity):
            return torch.eye(size(expr.shape[0]), dtype=torch.float64, device=some.device).expand(BATCH, -1, -1)
        if isinstance(expr, OneMatrix | sp.ZeroMatrix):
            fill = float(isinstance(expr, OneMatrix))
            shape = (BATCH, size(expr.shape[0]), size(expr.shape[1]))
            return torch.full(shape, fill, dtype=torch.float64, device=some.device)
        if isinstance(expr, MatrixElement):
            return walk(expr.parent)[:, size(expr.i), size(expr.j)]
        if isinstance(expr, sp.Sum):
            index, low, high = expr.limits[0]
            return sum(walk(expr.function.xreplace({index: sp.Integer(j)})) for j in range(size(low), size(high) + 1))
        if isinstance(expr, sp.Derivative):
            return walk(expr.doit())
        if isinstance(expr, sp.Symbol | sp.MatrixSymbol):
            raise Unsuited(f"not with {expr}, which has no value of its own")
        parts = [walk(part) for part in expr.args]
        if isinstance(expr, sp.MatAdd | sp.Add):
            return sum(parts[1:], parts[0])
        if isinstance(expr, sp.MatMul | sp.Mul):
            found = parts[0]
            for part in parts[1:]:
                found = _times(found, part)
            return found
        if isinstance(expr, sp.Transpose):
            return parts[0].mT
        if isinstance(expr, sp.Inverse):
            return torch.linalg.inv_ex(parts[0]).inverse
        if isinstance(expr, sp.MatPow):
            return torch.linalg.matrix_power(parts[0], size(expr.exp))
        if isinstance(expr, sp.Pow):
            return parts[0] ** (int(expr.exp) if isinstance(expr.exp, sp.Integer) else parts[1])
        if isinstance(expr, sp.exp | sp.log):
            return parts[0].exp() if isinstance(expr, sp.exp) else parts[0].log()
        if isinstance(expr, sp.Trace):
            return parts[0].diagonal(dim1=-2, dim2=-1).sum(-1)
        if isinstance(expr, DiagMatrix):
            return torch.diag_embed(parts[0][:, :, 0])
        raise Unsuited(f"not with {type(expr).__name__}")

    return walk(sp.sympify(expression, strict=True))


def _times(one: Any, other: Any) -> Any:
    if one.ndim == other.ndim == 3:
        return one @ other
    if one.ndim == other.ndim:
        return one * other
    scalar, matrix = (one, other) if one.ndim == 1 else (other, one)
    return scalar[:, None, None] * matrix
