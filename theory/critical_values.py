"""Critical values of deep linear models: f at a critical point is a function of one psd matrix X and of the targets.

    f = ||W H + b 1^T - Y||_F^2 / (2N) + sum_m (lam_m/2) ||W_m||_F^2 + (lam_H/2) ||H||_F^2,   W = W_M ... W_1,

with A = W_M, B the product of the other layers (I if M = 1), D the sum of all lam_m ||W_m||^2, Lambda the product of
all lam_m, gamma = (N lam_H Lambda)^(1/M) and X = (lam_M/gamma) A A^T. Layers are balanced at a critical point
(`balance`), so that W W^T = N lam_H X^M and D = M gamma tr X; with T the targets (centred ones where there is a bias)
and Theta = T T^T/N,

    f = 1/2 tr(Theta (I + X^M)^{-1} + M gamma X),    Theta X = X Theta.

So X and T T^T have common eigenvectors, and in each of them, where T has the singular value sigma, f adds up

    sigma^2/(2N) g_b(x),    b = M N gamma/sigma^2,    g_b(x) = 1/(1 + x^M) + b x    (`scalar_problem`).

X_opt is the matrix with the same eigenvectors whose eigenvalues minimise g_b (0 where sigma = 0). Then f minus its
minimum is ||Z||^2/2, and Z = 0 at every minimiser (Dang et al. 2023, sections 3 and 4, state one-hot targets).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from .balance import K, N
from .derivation import Hypothesis, Step
from .proof.rules import Gram, NormZero, Rewrite, Shift, Square, Star
from .proof.statement import Equal, PositiveDefinite, PositiveSemidefinite
from .scalar_problem import M, x
from .symbols import frobenius_squared, n, ones, ones_row

a, d, z = (sp.Symbol(name, integer=True, positive=True) for name in "adz")
lam_M, lam_H, gamma, product = (sp.Symbol(name, positive=True) for name in ("lambda_M", "lambda_H", "gamma", "Lambda"))
decay, decay_opt = (sp.Symbol(name, nonnegative=True) for name in ("D", "D_opt"))
POWER = "powers of balanced layers"
EIGENVECTORS = "common eigenvectors"


@dataclass(frozen=True)
class CriticalPoint:
    """A critical point, and beside it the balanced factors of X_opt, for one kind of targets.

    Targets Y (K x N) are any matrix, or ``labels``: of classes of any sizes, or ``balanced`` with n samples each, and
    N = K n. ``bias`` is a free b (K x 1). ``offset`` stands for a free bias or none at all: f has W H + F - Y with
    F = b 1^T or 0, and C = I - 1 1^T/N or I. ``dead`` says that X_opt is zero; ``aligned`` that Theta X = X Theta is
    asked for.
    """

    labels: bool = False
    balanced: bool = False
    bias: bool = False
    offset: bool = False
    dead: bool = False
    aligned: bool = False

    # ---- symbols
    @property
    def samples(self) -> sp.Expr:
        """N."""
        return K * n if self.balanced else N

    @property
    def layers(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """A = W_M (K x a), and B = W_{M-1} ... W_1 (a x d)."""
        return sp.MatrixSymbol("A", K, a), sp.MatrixSymbol("B", a, d)

    @property
    def features(self) -> sp.MatrixSymbol:
        return sp.MatrixSymbol("H", d, self.samples)

    @property
    def given(self) -> sp.MatrixSymbol:
        """Y, the targets as they are given."""
        return sp.MatrixSymbol("Y", K, self.samples)

    @property
    def centred(self) -> bool:
        """Whether T is another matrix than Y."""
        return self.bias or self.offset

    @property
    def target(self) -> sp.MatrixSymbol:
        """T = Y C."""
        return sp.MatrixSymbol("T", K, self.samples) if self.centred else self.given

    @property
    def free(self) -> sp.MatrixSymbol:
        """b, or F."""
        return sp.MatrixSymbol("b", K, 1) if self.bias else sp.MatrixSymbol("F", K, self.samples)

    @property
    def centring(self) -> sp.MatrixSymbol:
        """C, for any offset."""
        return sp.MatrixSymbol("C", self.samples, self.samples)

    @property
    def weights(self) -> sp.MatrixSymbol:
        """W = A B."""
        return sp.MatrixSymbol("W", K, d)

    @property
    def spectrum(self) -> MatrixExpr:
        """X = (lam_M/gamma) A A^T; written out where no conclusion is about X."""
        return self.meanings[0] if self.balanced else sp.MatrixSymbol("X", K, K)

    @property
    def power(self) -> sp.MatrixSymbol:
        """Q = X^M."""
        return sp.MatrixSymbol("Q", K, K)

    @property
    def scatter(self) -> MatrixExpr:
        """Theta = T T^T/N; likewise."""
        return self.meanings[1] if self.balanced else sp.MatrixSymbol("Theta", K, K)

    @property
    def meanings(self) -> tuple[MatrixExpr, MatrixExpr]:
        """Of X and Theta."""
        upper = self.layers[0]
        return lam_M / gamma * upper * upper.T, self.target * self.target.T / self.samples

    @property
    def optimal(self) -> tuple[sp.MatrixSymbol, sp.MatrixSymbol]:
        """W and H of the balanced factors of X_opt."""
        return sp.MatrixSymbol("W_opt", K, d), sp.MatrixSymbol("H_opt", d, self.samples)

    @property
    def excess(self) -> sp.MatrixSymbol:
        """Z, as many columns as one likes."""
        return sp.MatrixSymbol("Z", K, z)

    @property
    def projection(self) -> MatrixExpr:
        """F = I - 1 1^T/K, or I where there is no bias: K Theta for balanced labels."""
        return sp.MatrixSymbol("F", K, K) if self.bias and self.balanced else sp.Identity(K)

    @property
    def mean(self) -> MatrixExpr:
        """The best bias: the mean of the targets, which is 1/K for balanced labels."""
        return ones(K) / K if self.balanced else self.given * ones(N) / N

    @property
    def roots(self) -> MatrixExpr:
        """X_opt."""
        return sp.ZeroMatrix(K, K) if self.dead else sp.MatrixSymbol("X_opt", K, K)

    @property
    def powers(self) -> MatrixExpr:
        """X_opt^M."""
        return sp.ZeroMatrix(K, K) if self.dead else sp.MatrixSymbol("Q_opt", K, K)

    @property
    def definitions(self) -> dict[Any, Any]:
        A, B = self.layers
        found: dict[Any, Any] = {self.weights: A * B}
        if not self.balanced:
            found |= dict(zip((self.spectrum, self.scatter), self.meanings, strict=True))
        return found

    @property
    def symmetric(self) -> tuple[sp.MatrixSymbol, ...]:
        found = (self.power, self.roots, self.powers, self.projection)
        return tuple(each for each in found if isinstance(each, sp.MatrixSymbol))

    # ---- the objective
    @property
    def residual(self) -> MatrixExpr:
        """W H + b 1^T - Y, W H + F - Y, or W H - Y."""
        fitted = self.weights * self.features - self.given
        if self.bias:
            return fitted + self.free * ones_row(self.samples)
        return fitted + self.free if self.offset else fitted

    def objective(self, errors: Any, features: Any, decays: Any) -> sp.Expr:
        """f, in terms of the sum of all lam_m ||W_m||^2."""
        data = frobenius_squared(errors) / (2 * self.samples)
        return data + decays / 2 + lam_H * frobenius_squared(features) / 2

    @property
    def value(self) -> sp.Expr:
        """f at the critical point."""
        return self.objective(self.residual, self.features, decay)

    @property
    def least(self) -> sp.Expr:
        """f at the factors of X_opt; with the best bias."""
        if self.dead:
            return frobenius_squared(self.target) / (2 * self.samples)
        weights, features = self.optimal
        return self.objective(weights * features - self.target, features, decay_opt)

    def slopes(self, errors: Any) -> tuple[Equal, Equal]:
        """The gradients in H and W_M vanish."""
        (A, B), H = self.layers, self.features
        in_features = self.weights.T * errors / self.samples + lam_H * H
        in_layer = errors * H.T * B.T / self.samples + lam_M * A
        return Equal(in_features, sp.ZeroMatrix(*H.shape)), Equal(in_layer, sp.ZeroMatrix(*A.shape))

    def spectral(self, roots: MatrixExpr, powers: MatrixExpr) -> MatrixExpr:
        """Theta (I + X^M)^{-1} + M gamma X."""
        if self.dead and roots == self.roots:
            return self.scatter
        return self.scatter * (sp.Identity(K) + powers).inv() + M * gamma * roots

    # ---- hypotheses
    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        A, W, X, Q = self.layers[0], self.weights, self.spectrum, self.power
        in_features, in_layer = self.slopes(self.residual)
        found = [
            Hypothesis("critical in H", in_features, "the gradient vanishes"),
            Hypothesis("gamma", Equal(gamma**M, self.samples * lam_H * product), "gamma = (N P)^(1/M)"),
            Hypothesis("power", Equal(product * W * W.T, gamma**M * Q), "layers are balanced, Q = X^M", POWER),
            Hypothesis("sum of decays", Equal(decay, M * lam_M * frobenius_squared(A)), "layers are balanced", POWER),
        ]
        if self.aligned:
            found.append(Hypothesis("critical in W_M", in_layer, "the gradient vanishes"))
        if self.offset:
            found += self.any_offset
        if self.bias:
            critical = Equal(self.residual * ones(self.samples) / self.samples, sp.ZeroMatrix(K, 1))
            found.append(Hypothesis("critical in b", critical, "the gradient vanishes"))
            if not self.balanced:
                centred = self.given - self.mean * ones_row(N)
                found.append(Hypothesis("centred targets", Equal(self.target, centred), "the targets less their mean"))
        if self.balanced:
            found += self.balanced_labels
        if not self.dead:
            found += self.balanced_factors
        gap = self.spectral(X, Q) - self.spectral(self.roots, self.powers)
        found.append(
            Hypothesis(
                "excess",
                Equal(self.excess * self.excess.T, gap),
                "psd, as each eigenvalue of X_opt minimises its scalar problem",
                EIGENVECTORS,
            )
        )
        return tuple(found)

    @property
    def any_offset(self) -> list[Hypothesis]:
        E, C = self.residual, self.centring
        return [
            Hypothesis("critical in b", Equal(E * C, E), "the errors add up to zero, or C = I without bias"),
            Hypothesis("offset", Equal(self.free * C, sp.ZeroMatrix(*E.shape)), "1^T C = 0, or F = 0 without bias"),
            Hypothesis("centred targets", Equal(self.target, self.given * C), "T = Y C"),
        ]

    @property
    def balanced_labels(self) -> list[Hypothesis]:
        Y = self.given
        found = [Hypothesis("equal classes", Equal(Y * Y.T, n * sp.Identity(K)), "one-hot labels, n of each class")]
        if self.bias:
            centred = Y - ones(K) * ones_row(self.samples) / K
            found.append(Hypothesis("centred targets", Equal(self.target, centred), "the labels less 1/K"))
            found.append(Hypothesis("class sizes", Equal(Y * ones(self.samples), n * ones(K)), "one-hot labels"))
        return found

    @property
    def balanced_factors(self) -> list[Hypothesis]:
        """What the point is that attains the minimum."""
        W, H = self.optimal
        slope = W.T * (W * H - self.target) / self.samples + lam_H * H
        found = [
            Hypothesis("optimal features", Equal(slope, sp.ZeroMatrix(*H.shape)), "H_opt is a ridge regression"),
            Hypothesis(
                "optimal power",
                Equal(product * W * W.T, gamma**M * self.powers),
                "W_opt is the product of balanced layers with (lambda_M/gamma) W_M W_M^T = X_opt",
                POWER,
            ),
            Hypothesis("optimal decays", Equal(decay_opt, M * gamma * sp.Trace(self.roots)), "the same layers", POWER),
        ]
        if self.balanced:
            says = "x minimises g_b for b = M K gamma"
            if self.bias:
                frame = sp.Identity(K) - ones(K) * ones_row(K) / K
                found.append(Hypothesis("frame", Equal(self.projection, frame), "of a simplex ETF"))
            found.append(Hypothesis("X_opt", Equal(self.roots, x * self.projection), says))
            found.append(Hypothesis("Q_opt", Equal(self.powers, x**M * self.projection), "X_opt^M"))
        return found

    @property
    def minimality(self) -> tuple[Hypothesis, ...]:
        """f is least, and X - X_opt vanishes where Z does: eigenvalues that minimise are those of X_opt."""
        G, X, Q = sp.MatrixSymbol("G", K, K), self.spectrum, self.power
        found = [
            Hypothesis("minimiser", Equal(self.value, self.least), "any point where f is least"),
            self.unique,
            Hypothesis("difference of powers", Equal(Q - self.powers, G * (X - self.roots)), "Q = X^M", EIGENVECTORS),
        ]
        if not self.balanced:
            P = self.settled
            found.append(Hypothesis("settled", Equal(self.powers * P, P * self.powers), "common eigenvectors"))
        return tuple(found)

    @property
    def quotient(self) -> sp.MatrixSymbol:
        """L, of X - X_opt by Z."""
        return sp.MatrixSymbol("L", z, K)

    @property
    def unique(self) -> Hypothesis:
        return Hypothesis(
            "unique eigenvalues",
            Equal((self.spectrum - self.roots) * self.settled, self.excess * self.quotient),
            "where Z is zero an eigenvalue of X minimises its scalar problem, and no other one does",
            EIGENVECTORS,
        )

    @property
    def settled(self) -> MatrixExpr:
        """P: the projection to all singular directions of T that are not at their threshold."""
        return sp.Identity(K) if self.balanced or self.dead else sp.MatrixSymbol("P", K, K)


# ------------------------------------------------------------------------------------------------------------ steps


def value_steps(at: CriticalPoint, best: bool = False) -> tuple[Step, ...]:
    """f at the point, or at the factors of X_opt."""
    weights, features = at.optimal if best else (at.weights, at.features)
    roots, powers = (at.roots, at.powers) if best else (at.spectrum, at.power)
    power, decays = ("optimal power", "optimal decays") if best else ("power", "sum of decays")
    critical = "optimal features" if best else "centred in H" if at.centred else "critical in H"
    prefix, ridge = "optimal " if best else "", at.samples * lam_H
    squares = weights * weights.T / ridge
    resolvent = (sp.Identity(K) + powers).inv()
    bias = ("centred value",) if at.centred and not best else ()
    return (
        Step(
            f"{prefix}squares",
            Equal(product * weights * weights.T, product * ridge * powers),
            "Insert gamma^M = N lam_H Lambda.",
            Star((power, "gamma")),
        ),
        Step(f"{prefix}lengths", Equal(squares, powers), "Divide by Lambda.", Star((f"{prefix}squares",))),
        Step(f"{prefix}gram", PositiveSemidefinite(squares), "A Gram matrix.", Gram((Square(1 / ridge, weights),))),
        Step(
            f"{prefix}psd",
            PositiveSemidefinite(powers),
            "They are equal.",
            Rewrite(f"{prefix}gram", f"{prefix}lengths"),
        ),
        Step(
            f"{prefix}resolvent",
            PositiveDefinite(sp.Identity(K) + powers),
            "A psd matrix plus I.",
            Shift(f"{prefix}psd", sp.S.One),
        ),
        Step(
            f"{prefix}residual",
            Equal(at.target - weights * features, resolvent * at.target),
            "Multiply the features by W: (I + X^M) (T - W H) = T.",
            Star((critical, f"{prefix}lengths")),
        ),
        Step(
            f"{prefix}ridge",
            Equal(features, weights.T * resolvent * at.target / ridge),
            "Insert the residual.",
            Star((critical, f"{prefix}residual")),
        ),
        Step(
            f"{prefix}value",
            Equal(at.least if best else at.value, sp.Trace(at.spectral(roots, powers)) / 2),
            "Insert both; the two squares add up.",
            Star((f"{prefix}residual", f"{prefix}ridge", f"{prefix}lengths", decays, *bias)),
        ),
    )


def centred_steps(at: CriticalPoint) -> tuple[Step, ...]:
    """With a free bias the features add up to zero: the same point is critical for T, without bias."""
    errors = at.weights * at.features - at.target
    in_features, in_layer = at.slopes(errors)
    if at.bias:
        start = (
            Step(
                "centred features",
                Equal(at.features * ones(at.samples), sp.ZeroMatrix(d, 1)),
                "Add up the gradients in the features: the errors add up to zero.",
                Star(("critical in H", "critical in b")),
            ),
            Step(
                "bias",
                Equal(at.free, at.mean),
                "The errors add up to zero, and there are n labels of each class."
                if at.balanced
                else "The errors and the features add up to zero.",
                Star(("critical in b", "centred features", *(("class sizes",) if at.balanced else ()))),
            ),
        )
        using = ("bias", "centred targets")
    else:
        start = (
            Step(
                "centred features",
                Equal(at.features * at.centring, at.features),
                "The gradient in the features times C: the errors are E C.",
                Star(("critical in H", "critical in b")),
            ),
        )
        using = ("critical in b", "offset", "centred features", "centred targets")
    return (
        *start,
        Step("errors", Equal(at.residual, errors), "E = E C.", Star(using)),
        Step("centred in H", in_features, "Insert the errors.", Star(("critical in H", "errors"))),
        *(
            (Step("centred in the layer", in_layer, "Insert the errors.", Star(("critical in W_M", "errors"))),)
            if at.aligned
            else ()
        ),
        Step(
            "centred value",
            Equal(at.value, at.objective(errors, at.features, decay)),
            "Insert the errors.",
            Star(("errors",)),
        ),
    )


def commuting_steps(at: CriticalPoint) -> tuple[Step, ...]:
    """Theta X = X Theta."""
    Theta, X, Q, unit = at.scatter, at.spectrum, at.power, sp.Identity(K)
    R = (unit + Q).inv()
    return (
        Step(
            "stationary",
            Equal(R * Theta * R * Q, gamma * X),
            "Multiply the gradient in W_M by W_M^T, and insert the residual.",
            Star(("centred in the layer" if at.centred else "critical in W_M", "residual", "lengths")),
        ),
        Step(
            "cleared",
            Equal(Theta * Q, gamma * (unit + Q) * X * (unit + Q)),
            "Multiply by I + X^M on both sides.",
            Star(("stationary",)),
        ),
        Step(
            "powers commute",
            Equal(Theta * Q, Q * Theta),
            "The right-hand side is symmetric.",
            Star(("cleared",)),
        ),
        Step(
            "resolvents commute",
            Equal(Theta * R, R * Theta),
            "R (I + X^M) = I.",
            Star(("powers commute",)),
        ),
        Step(
            "common eigenvectors",
            Equal(Theta * X, X * Theta),
            "X is a product of what commutes with Theta.",
            Star(("stationary", "powers commute", "resolvents commute")),
        ),
    )


def gap(at: CriticalPoint) -> Equal:
    """f less its minimum is ||Z||^2/2."""
    return Equal(at.value - at.least, frobenius_squared(at.excess) / 2)


def gap_steps(at: CriticalPoint) -> tuple[Step, ...]:
    values = ("value",) if at.dead else ("value", "optimal value")
    return (
        *(centred_steps(at) if at.centred else ()),
        *value_steps(at),
        *(() if at.dead else value_steps(at, best=True)),
        Step("gap", gap(at), "The trace of Z Z^T.", Star((*values, "excess"))),
    )


def minimal_steps(at: CriticalPoint) -> tuple[Step, ...]:
    """Z = 0 at a minimiser, so that X P = X_opt P."""
    norm = frobenius_squared(at.excess)
    P = at.settled
    steps = (
        Step("no excess", Equal(norm, sp.S.Zero), "f is least.", Star(("gap", "minimiser"))),
        Step(
            "Z",
            Equal(at.excess, sp.ZeroMatrix(K, z)),
            "A vanishing norm.",
            NormZero("no excess", (Square(1, at.excess),)),
        ),
        Step("X", Equal(at.spectrum * P, at.roots * P), "Insert Z = 0.", Star(("Z", "unique eigenvalues"))),
    )
    ridge = at.samples * lam_H
    return (
        *steps,
        Step(
            "weights",
            Equal(at.weights * at.weights.T * P, ridge * at.powers * P),
            "Powers of what is equal are equal.",
            Star(("lengths", "difference of powers", "X")),
        ),
    )
