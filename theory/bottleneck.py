"""Narrow layers, and the threshold: critical points of deep linear models with balanced classes, and W of low rank.

    f = ||W H - T||_F^2 / (2N) + D/2 + (lam_H/2) ||H||_F^2,   W = W_M ... W_1,   D = sum_m lam_m ||W_m||_F^2,   N = K n,

with T = (I - J) Y: J = 0 without a bias, and J = 1 1^T/K, which centres the labels, with a free one (then it is
(1/K) 1). Layers are balanced at a critical point (`balance`). So if one has width d, W W^T = N lam_H Q Xi^M Q^T, where
Q (K x d) has orthonormal columns and D = M gamma tr Xi, gamma = (N lam_H lam_1 ... lam_M)^(1/M). For b = M K gamma and
g_b of `scalar_problem`, of least value v at x,

    f - f* = (||Z||^2 + ||F^T Q^T J||^2) / (2K),   Z Z^T = g_b(Xi) - v I,   F F^T = Xi^M (I + Xi^M)^{-1},
    f* = (tr(I - J) - d + d v) / (2K).

Both squares vanish where f is least: Xi = x I and J Q = 0, W W^T is a multiple of the projection Q Q^T, a best
approximation of I - J of rank d (Dang et al. 2023). At the threshold b = beta_M, where v = 1, so is Xi = 0: then
Xi = x R for any projection R, of any rank.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr
from sympy.solvers.diophantine.diophantine import sum_of_four_squares

from .balance import K, half_integers, orthonormal, rows_of
from .critical_values import EIGENVECTORS, POWER
from .derivation import Derivation, Hypothesis, Setting, Step
from .proof.certificate import Values
from .proof.checker import Range
from .proof.rules import Conjunction, Gram, NormZero, Rewrite, Shift, Square, Star
from .proof.statement import AllOf, Equal, PositiveDefinite, PositiveSemidefinite
from .scalar_problem import M, b, x
from .symbols import frobenius_squared, n

d, p, z = (sp.Symbol(name, integer=True, positive=True) for name in "dpz")
lam_H = sp.Symbol("lambda_H", positive=True)
N = K * n
gamma = b / (M * K)
J = sp.MatrixSymbol("J", K, K)
Y = sp.MatrixSymbol("Y", K, N)


@dataclass(frozen=True)
class NarrowPoint:
    """A critical point: W (K x p), H (p x N), D, the frame Q (K x d), Xi and its M-th power L (both d x d).

    ``mark`` goes after their names, ``name`` before the names of hypotheses and steps.
    """

    mark: str = ""
    name: str = ""
    width: sp.Symbol = d

    @property
    def weights(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol(f"W{self.mark}", K, p)

    @property
    def features(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol(f"H{self.mark}", p, N)

    @property
    def decays(self) -> sp.Symbol:
        return sp.Symbol(f"D{self.mark}", nonnegative=True)

    @property
    def frame(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol(f"Q{self.mark}", K, self.width)

    @property
    def roots(self) -> sp.MatrixSymbol:
        """Xi."""
        return sp.MatrixSymbol(f"Xi{self.mark}", self.width, self.width)

    @property
    def powers(self) -> sp.MatrixSymbol:
        """L = Xi^M."""
        return sp.MatrixSymbol(f"L{self.mark}", self.width, self.width)

    @property
    def square_roots(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """Z and F, of any number of columns."""
        return sp.MatrixSymbol(f"Z{self.mark}", self.width, z), sp.MatrixSymbol(f"F{self.mark}", self.width, z)

    @property
    def misplaced(self) -> MatrixExpr:
        """F^T Q^T J, zero unless the frame leans towards 1."""
        return self.square_roots[1].T * self.frame.T * J

    @property
    def gap(self) -> sp.Expr:
        """f - f*."""
        return (frobenius_squared(self.square_roots[0]) + frobenius_squared(self.misplaced)) / (2 * K)

    @property
    def means(self) -> MatrixExpr:
        """Hbar, the class means of the features."""
        return self.features * Y.T / n

    def excess(self, least_value: sp.Expr) -> tuple[Hypothesis, Hypothesis]:
        """What Z and F are."""
        (Z, F), unit = self.square_roots, sp.Identity(self.width)
        over = self.resolvent + b * self.roots - least_value * unit
        return (
            Hypothesis(f"{self.name}excess", Equal(Z * Z.T, over), "a function of Xi, as g_b >= v", EIGENVECTORS),
            Hypothesis(f"{self.name}shares", Equal(F * F.T, unit - self.resolvent), "a function of Xi", EIGENVECTORS),
        )

    def gap_steps(self, minimum: sp.Expr) -> tuple[Step, ...]:
        """f - f* as a sum of squares."""
        using = (*(f"{self.name}{each}" for each in ("value", "excess", "shares")), "centring")
        says = Equal(self.objective - minimum, self.gap)
        return (*self.steps, Step(f"{self.name}gap", says, "Insert Z Z^T and F F^T.", Star(using)))

    @property
    def objective(self) -> sp.Expr:
        """f."""
        data = frobenius_squared(self.weights * self.features - TARGET) / (2 * N)
        return data + self.decays / 2 + lam_H * frobenius_squared(self.features) / 2

    @property
    def resolvent(self) -> MatrixExpr:
        """(I + Xi^M)^{-1}."""
        return (sp.Identity(self.width) + self.powers).inv()

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        W, H, Q = self.weights, self.features, self.frame
        slope = W.T * (W * H - TARGET) / N + lam_H * H
        return (
            Hypothesis(f"{self.name}critical in H", Equal(slope, sp.ZeroMatrix(*H.shape)), "the gradient vanishes"),
            Hypothesis(
                f"{self.name}power",
                Equal(W * W.T, N * lam_H * Q * self.powers * Q.T),
                "layers are balanced, and one of them has d columns",
                POWER,
            ),
            Hypothesis(
                f"{self.name}decays",
                Equal(self.decays, M * gamma * sp.Trace(self.roots)),
                "layers are balanced",
                POWER,
            ),
            Hypothesis(f"{self.name}frame", Equal(Q.T * Q, sp.Identity(self.width)), "orthonormal columns"),
        )

    def value(self) -> sp.Expr:
        """f in terms of Xi and Q."""
        Q, R = self.frame, self.resolvent
        lost = sp.Trace(Q.T * J * Q * (sp.Identity(self.width) - R))
        return (sp.Trace(sp.Identity(K) - J) - self.width + sp.Trace(R + b * self.roots) + lost) / (2 * K)

    @property
    def steps(self) -> tuple[Step, ...]:
        """f by Xi and Q, from the gradient in H and balanced layers."""
        W, H, Q, R, name = self.weights, self.features, self.frame, self.resolvent, self.name
        lifted, small = Q * self.powers * Q.T, Q.T * W
        ridge = N * lam_H
        whole = sp.Identity(K) - Q * (sp.Identity(self.width) - R) * Q.T
        return (
            Step(
                f"{name}gram",
                PositiveSemidefinite(small * small.T / ridge),
                "A Gram matrix.",
                Gram((Square(1 / ridge, small),)),
            ),
            Step(
                f"{name}lengths",
                Equal(small * small.T / ridge, self.powers),
                "Q has orthonormal columns.",
                Star((f"{name}power", f"{name}frame")),
            ),
            Step(
                f"{name}psd",
                PositiveSemidefinite(self.powers),
                "They are equal.",
                Rewrite(f"{name}gram", f"{name}lengths"),
            ),
            Step(
                f"{name}resolvent",
                PositiveDefinite(sp.Identity(self.width) + self.powers),
                "A psd matrix plus I.",
                Shift(f"{name}psd", sp.S.One),
            ),
            Step(
                f"{name}normal equation",
                Equal((sp.Identity(K) + lifted) * (TARGET - W * H), TARGET),
                "Multiply the gradient in H by W, and insert W W^T.",
                Star((f"{name}critical in H", f"{name}power")),
            ),
            Step(
                f"{name}residual",
                Equal(TARGET - W * H, whole * TARGET),
                "The matrix in brackets has the inverse I - Q (I - R) Q^T.",
                Star((f"{name}normal equation", f"{name}frame")),
            ),
            Step(
                f"{name}ridge",
                Equal(H, W.T * whole * TARGET / ridge),
                "Insert the residual in the gradient.",
                Star((f"{name}critical in H", f"{name}residual")),
            ),
            Step(
                f"{name}value",
                Equal(self.objective, self.value()),
                "Insert both.",
                Star((*(f"{name}{each}" for each in ("residual", "ridge", "power", "decays", "frame")), *SCATTER)),
            ),
        )


TARGET = (sp.Identity(K) - J) * Y
SCATTER = ("equal classes", "centring")
LABELS = (
    Hypothesis("equal classes", Equal(Y * Y.T, n * sp.Identity(K)), "one-hot labels, n of each class"),
    Hypothesis("centring", Equal(J * J, J), "J = 0, or J = 1 1^T/K"),
)


@dataclass(frozen=True)
class Bottleneck:
    """Any critical point, any minimiser among them, and balanced factors that attain the minimum.

    Below the threshold Xi = x I is least, x being the minimiser of g_b. ``tie`` says that b is the threshold itself:
    then the eigenvalues 0 and x are equally good, and balanced factors of any rank r attain the minimum.
    """

    tie: bool = False

    @property
    def any_point(self) -> NarrowPoint:
        return NarrowPoint()

    @property
    def minimiser(self) -> NarrowPoint:
        return NarrowPoint("_0", "least: ")

    @property
    def rank(self) -> sp.Symbol:
        """Columns of the frame of the balanced factors."""
        return sp.Symbol("r", integer=True, positive=True) if self.tie else d

    @property
    def best(self) -> NarrowPoint:
        """Balanced factors with Xi = x I."""
        return NarrowPoint("_1", "best: ", self.rank)

    @property
    def least_value(self) -> sp.Expr:
        """v, the minimum of g_b."""
        return sp.S.One if self.tie else 1 / (1 + x**M) + b * x

    @property
    def minimum(self) -> sp.Expr:
        """f*."""
        return (sp.Trace(sp.Identity(K) - J) - d + d * self.least_value) / (2 * K)

    @property
    def projection(self) -> MatrixExpr:
        """The projection that W W^T is a multiple of, at a minimiser."""
        point = self.minimiser
        return point.frame * point.roots * point.frame.T / x if self.tie else point.frame * point.frame.T

    @property
    def conclusions(self) -> dict[str, Equal]:
        """What holds at every minimiser."""
        point = self.minimiser
        W, H = point.weights, point.features
        R, share = self.projection, b * x if self.tie else x**M / (1 + x**M)
        return {
            "projection": Equal(R * R, R),
            "centred": Equal(J * R, sp.ZeroMatrix(K, K)),
            "weights": Equal(W * W.T, N * lam_H * (M * b * x if self.tie else x**M) * R),
            "collapse": Equal(H, point.means * Y),
            "means": Equal(point.means.T * point.means, share * (1 - share) / (N * lam_H) * R),
            "outputs": Equal(W * point.means, share * R),
        }

    @property
    def statement(self) -> AllOf:
        free = self.any_point
        return AllOf(
            (
                Equal(free.objective - self.minimum, free.gap),
                Equal(self.best.objective, self.minimum),
                *self.conclusions.values(),
            )
        )

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        free, point, best = self.any_point, self.minimiser, self.best
        Xi, L, (Z, _), unit = point.roots, point.powers, point.square_roots, sp.Identity(d)
        G, P = sp.MatrixSymbol("G", z, d), sp.MatrixSymbol("P", d, d)
        found = [
            *LABELS,
            *free.hypotheses,
            *free.excess(self.least_value),
            *best.hypotheses,
            Hypothesis("best: roots", Equal(best.roots, x * sp.Identity(self.rank)), "Xi = x I"),
            Hypothesis("best: powers", Equal(best.powers, x**M * sp.Identity(self.rank)), "Xi^M = x^M I"),
            Hypothesis("best: centred", Equal(J * best.frame, sp.ZeroMatrix(*best.frame.shape)), "a centred frame"),
            *point.hypotheses,
            *point.excess(self.least_value),
            Hypothesis("minimiser", Equal(point.objective, self.minimum), "any point where f is least"),
        ]
        if self.tie:
            zeros = Equal(Xi * (Xi - x * unit), Z * G)
            found += [
                Hypothesis("zeros", zeros, "where g_b = 1 an eigenvalue is 0 or x", EIGENVECTORS),
                Hypothesis("threshold", Equal(M * b * x, M - 1), "b = beta_M"),
                Hypothesis("other minimiser", Equal(x**M, M - 1), "x = (M-1)^(1/M)"),
            ]
            return tuple(found)
        return (
            *found,
            Hypothesis("zeros", Equal(Xi - x * unit, Z * G), "where g_b = v an eigenvalue is x", EIGENVECTORS),
            Hypothesis("powers", Equal(L - x**M * unit, P * (Xi - x * unit)), "a function of Xi", EIGENVECTORS),
        )

    @property
    def symmetric(self) -> tuple[Any, ...]:
        points = self.any_point, self.minimiser, self.best
        return (J, *(symbol for point in points for symbol in (point.roots, point.powers)))

    @property
    def steps(self) -> tuple[Step, ...]:
        point, best = self.minimiser, self.best
        L, (Z, _), unit = point.powers, point.square_roots, sp.Identity(d)
        Q, R = point.frame, point.resolvent
        weighted = (Square(1 / (2 * K), Z), Square(1 / (2 * K), point.misplaced))
        zero = Equal(point.gap, sp.S.Zero)
        reached = ("best: value", "best: centred", "best: roots", "best: resolvent value")
        at_tie = (
            Step("value of zero", Equal(M / (1 + x**M), sp.S.One), "x^M = M - 1.", Star(("other minimiser",))),
            Step(
                "attained, M times",
                Equal(M * best.objective, M * self.minimum),
                "Insert Xi = x I; the frame is centred, and 1/M + (M-1)/M = 1.",
                Star((*reached, "value of zero", "threshold")),
            ),
        )
        steps: list[Step] = [
            *self.any_point.gap_steps(self.minimum),
            *best.steps,
            Step(
                "best: inverse",
                Equal((sp.Identity(self.rank) + best.powers) / (1 + x**M), sp.Identity(self.rank)),
                "Insert Xi^M = x^M I.",
                Star(("best: powers",)),
            ),
            Step(
                "best: resolvent value",
                Equal(best.resolvent, sp.Identity(self.rank) / (1 + x**M)),
                "Inverses are unique.",
                Star(("best: inverse",)),
            ),
            *(at_tie if self.tie else ()),
            Step(
                "attained",
                Equal(best.objective, self.minimum),
                "Divide by M." if self.tie else "Insert Xi = x I; the frame is centred.",
                Star(("attained, M times",) if self.tie else reached),
            ),
            *point.gap_steps(self.minimum),
            Step("no excess", zero, "f is least.", Star(("least: gap", "minimiser"))),
            Step("Z", Equal(Z, sp.ZeroMatrix(d, z)), "A vanishing sum of squares.", NormZero("no excess", weighted)),
            Step(
                "no lean",
                Equal(point.misplaced, sp.ZeroMatrix(z, K)),
                "A vanishing sum of squares.",
                NormZero("no excess", weighted),
            ),
        ]
        steps += [
            Step(
                "shares lean",
                Equal((unit - R) * Q.T * J, sp.ZeroMatrix(d, K)),
                "F times the last equation.",
                Star(("no lean", "least: shares")),
            ),
            Step("lean", Equal(L * Q.T * J, sp.ZeroMatrix(d, K)), "(I + L)(I - R) = L.", Star(("shares lean",))),
        ]
        steps += self._settled_at_tie if self.tie else self._settled
        W, means, ridge = point.weights, point.means, N * lam_H
        whole = (sp.Identity(K) - Q * (unit - R) * Q.T) * (sp.Identity(K) - J) / ridge
        says = self.conclusions
        steps += [
            Step(
                "class means",
                Equal(means, W.T * whole),
                "Multiply the features by Y^T.",
                Star(("least: ridge", *SCATTER)),
            ),
            Step(
                "Gram matrix",
                Equal(means.T * means, whole.T * W * W.T * whole),
                "Insert them twice.",
                Star(("class means",)),
            ),
            Step("mean outputs", Equal(W * means, W * W.T * whole), "Insert them.", Star(("class means",))),
            *self._inserted("Gram value", whole.T * W * W.T * whole, says["means"].right, 2),
            *self._inserted("output value", W * W.T * whole, says["outputs"].right, 1),
        ]
        names = tuple(self.conclusions)
        using = dict.fromkeys(names, self.at_roots)
        using |= {"weights": ("least: power", "powers of roots"), "collapse": ("least: ridge", *SCATTER)}
        using |= {"means": ("Gram matrix", "Gram value"), "outputs": ("mean outputs", "output value")}
        steps += [Step(name, each, "By these equations.", Star(using[name])) for name, each in says.items()]
        steps.append(Step("together", self.statement, "The parts.", Conjunction(("gap", "attained", *names))))
        return tuple(steps)

    @property
    def at_roots(self) -> tuple[str, ...]:
        """The equations for Xi and its functions."""
        return (
            "least: power",
            "powers of roots",
            "least: frame",
            "roots",
            "resolvent of roots",
            "centred frame",
            "centring",
        )

    def _inserted(self, name: str, left: MatrixExpr, right: Any, factors: int) -> tuple[Step, ...]:
        """W W^T between so many factors I - Q (I - R) Q^T."""
        if not self.tie:
            return (Step(name, Equal(left, right), "Insert Xi.", Star(self.at_roots)),)
        Q = self.minimiser.frame
        power = M * b * (1 - b * x) ** factors * (N * lam_H) ** (1 - factors)
        plain = power.expand() * Q * self.minimiser.roots * Q.T
        return (
            Step(f"{name}, in b", Equal(left, plain), "Insert Xi.", Star(self.at_roots)),
            Step(name, Equal(left, right), "Insert M (1 - b x) = 1.", Star((f"{name}, in b", "threshold"))),
        )

    @property
    def _settled(self) -> list[Step]:
        """Xi = x I."""
        point, unit = self.minimiser, sp.Identity(d)
        return [
            Step("roots", Equal(point.roots, x * unit), "Z = 0.", Star(("Z", "zeros"))),
            Step("powers of roots", Equal(point.powers, x**M * unit), "M-th powers.", Star(("roots", "powers"))),
            Step("inverse", Equal((unit + point.powers) / (1 + x**M), unit), "Insert L.", Star(("powers of roots",))),
            Step(
                "resolvent of roots",
                Equal(point.resolvent, unit / (1 + x**M)),
                "Inverses are unique.",
                Star(("inverse",)),
            ),
            Step(
                "centred frame",
                Equal(J * point.frame, sp.ZeroMatrix(K, d)),
                "L is a positive multiple of I.",
                Star(("lean", "powers of roots")),
            ),
        ]

    @property
    def _settled_at_tie(self) -> list[Step]:
        """Xi^2 = x Xi, and L is a multiple of Xi."""
        point, unit = self.minimiser, sp.Identity(d)
        Xi, L, R = point.roots, point.powers, point.resolvent
        return [
            Step("roots", Equal(Xi * Xi, x * Xi), "Z = 0.", Star(("Z", "zeros"))),
            Step("resolvent of roots", Equal(R, unit - b * Xi), "Z = 0, and v = 1.", Star(("Z", "least: excess"))),
            Step(
                "cleared",
                Equal(L, b * Xi + b * L * Xi),
                "Multiply by I + L.",
                Star(("resolvent of roots",)),
            ),
            Step(
                "scaled",
                Equal(M * R * Xi, Xi),
                "M (1 - b x) = 1.",
                Star(("resolvent of roots", "roots", "threshold")),
            ),
            Step("product", Equal(L * Xi, (M - 1) * Xi), "Multiply by I + L.", Star(("scaled",))),
            Step("powers of roots", Equal(L, M * b * Xi), "Insert it.", Star(("cleared", "product"))),
            Step(
                "centred frame",
                Equal(J * point.frame * Xi, sp.ZeroMatrix(K, d)),
                "L is a positive multiple of Xi.",
                Star(("lean", "powers of roots")),
            ),
        ]

    # ---- exact examples
    def setting(self, parameters: Mapping[sp.Symbol, Range]) -> Setting:
        return Setting(parameters, self.hypotheses, self.sample, self.symmetric)

    def sample(self, rng: random.Random) -> Values:
        depth = 2 if self.tie else rng.randint(1, 3)
        side = sp.S.One if self.tie else sp.Rational(rng.choice(SIDES[depth]))  # x = y^2
        classes, lost, count = rng.randint(2, 3), rng.randint(0, 1), rng.randint(1, 2)
        width = rng.randint(1, classes) if self.tie else rng.randint(1, classes - 1)
        rank = rng.randint(1, classes - lost) if self.tie else width
        hidden, samples = max(width, rank) + rng.randint(0, 1), classes * count
        (scale,) = half_integers(rng, 1)
        slope = depth * side ** (2 * depth - 2) / (1 + side ** (2 * depth)) ** 2 if not self.tie else sp.Rational(1, 2)
        basis = orthonormal(rng, classes, classes)
        lean = sp.Matrix(basis[:, 0])
        centring = lost * lean * lean.T
        labels = sp.Matrix.hstack(*[sp.eye(classes)] * count) * orthonormal(rng, samples, samples)
        values: dict[Any, Any] = {K: classes, n: count, d: width, p: hidden, z: 4 * width, M: depth, b: slope}
        values |= {x: side**2, lam_H: scale**2 / samples, self.rank: rank}
        last = basis[:, classes - width :]
        alive = [
            side if not self.tie or (i >= lost - classes + width and rng.random() < 0.7) else 0 for i in range(width)
        ]
        any_sides = [sp.Rational(rng.randint(0, 6), 2) for _ in range(width)]
        least = sp.S.One if self.tie else 1 / (1 + side ** (2 * depth)) + slope * side**2
        found: dict[Any, Any] = {J: centring, Y: labels}
        found |= {sp.MatrixSymbol("G", z, d): sp.zeros(4 * width, width), sp.MatrixSymbol("P", d, d): sp.zeros(width)}
        for point, frame, sides in (
            (self.any_point, orthonormal(rng, classes, width), any_sides),
            (self.minimiser, sp.Matrix(last), alive),
            (self.best, sp.Matrix(basis[:, classes - rank :]), [side] * rank),
        ):
            size = len(sides)
            turn = orthonormal(rng, size, size) if point == self.any_point or width < classes else sp.eye(size)
            weights = scale * frame * turn * sp.diag(*(y**depth for y in sides)) * orthonormal(rng, hidden, size).T
            shares = [1 - 1 / (1 + y ** (2 * depth)) for y in sides]
            kept = sp.eye(classes) - frame * turn * sp.diag(*shares) * turn.T * frame.T
            values[point.decays] = slope * sum(y**2 for y in sides) / classes
            found |= {
                point.weights: weights,
                point.features: weights.T * kept * (sp.eye(classes) - centring) * labels / scale**2,
                point.frame: frame,
                point.roots: turn * sp.diag(*(y**2 for y in sides)) * turn.T,
                point.powers: turn * sp.diag(*(y ** (2 * depth) for y in sides)) * turn.T,
            }
            if point != self.best:
                excess = [1 - share + slope * y**2 - least for y, share in zip(sides, shares, strict=True)]
                found |= dict(zip(point.square_roots, (_root(turn, each) for each in (excess, shares)), strict=True))
        return values | {name: rows_of(matrix) for name, matrix in found.items()}


SIDES = {1: ("1/2", "1", "3/2"), 2: ("5/4", "3/2"), 3: ("3/2", "2")}  # x^M >= M - 1 for x = y^2


def _root(basis: sp.Matrix, eigenvalues: list[Any]) -> sp.Matrix:
    """A (size x 4 size) with A A^T = U diag(eigenvalues) U^T: every eigenvalue is a sum of four squares."""
    fours = [sum_of_four_squares(int(e.p * e.q)) for e in map(sp.Rational, eigenvalues)]
    sizes = [sp.Rational(e).q for e in eigenvalues]
    parts = [
        basis * sp.diag(*(sp.Integer(four[i]) / q for four, q in zip(fours, sizes, strict=True))) for i in range(4)
    ]
    return sp.Matrix.hstack(*parts)


def minimisers(problem: Bottleneck, where: Setting) -> Derivation:
    """The minimum, and what W and the class means are at every minimiser."""
    return Derivation("Balanced classes behind a narrow layer", where, problem.steps)
