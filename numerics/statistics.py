"""Class means, covariances, the SNR matrix, and the metrics NC1-NC4 of neural collapse.

Every covariance is an average over all N samples (division by N, not N - 1, and class k weighs n_k/N), so
that Sigma_T = Sigma_W + Sigma_B for any class sizes; for balanced classes these are the averages of han2022,
1/C over classes and 1/(CN) over its CN samples. Metrics have the batch shape (...) and are zero in the
collapsed limit, except `nc4_agreement`, which is one. "Papyan 2020" is Papyan, Han & Donoho, Prevalence of
neural collapse during the terminal phase of deep learning training. What needs no single sample takes `Features`, which
are in memory, or `Moments`, which an `Accumulator` gathers from batches.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .frames import FrameKind, frame_deviation, gram_deviation, gram_frame_deviation, scaled_gram
from .linalg import eigh, frobenius_norm, row_blocks, singular_values, svd
from .models import Features
from .moments import Moments
from .shapes import check_compatible, check_finite, check_matrix, check_within_variation

__all__ = [
    "between_covariance",
    "cdnv",
    "centred_means",
    "class_means",
    "effective_rank",
    "global_mean",
    "mean_singular_values",
    "nc1_pinv",
    "nc1_trace_quotient",
    "nc2_angle_deviation",
    "nc2_etf_distance",
    "nc2_frame_distance",
    "nc2_gram_distance",
    "nc2_norm_deviation",
    "nc3_alignment",
    "nc4_agreement",
    "nearest_means",
    "residuals",
    "snr_matrix",
    "snr_singular_values",
    "total_covariance",
    "within_covariance",
]

Sampled = Features | Moments

WELL_CONDITIONED = 1e-4  # eigenvalues relative to the largest: there eigh, thrice as fast as svd, is right to 1e-12


def _blocks(features: Features) -> tuple[Tensor, ...]:
    return features.values.split_with_sizes(list(features.class_counts), dim=-1)


def _mean(columns: Tensor) -> Tensor:
    # Relative to the first column: exact when all columns are equal, and accurate when they nearly are.
    first = columns[..., :1]
    return first + (columns - first).mean(dim=-1, keepdim=True)


def _centred(columns: Tensor) -> Tensor:
    shifted = columns - columns[..., :1]
    return shifted - shifted.mean(dim=-1, keepdim=True)


def class_means(features: Sampled) -> Tensor:
    """M (..., d, K), the mean of each class.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.class_means(Features(torch.tensor([[0.0, 2.0, 5.0]]), (2, 1)))
    tensor([[1., 5.]])
    """
    if isinstance(features, Moments):
        return features.means
    return torch.cat([_mean(block) for block in _blocks(features)], dim=-1)


def global_mean(features: Sampled) -> Tensor:
    """mu_G (..., d, 1), the mean of all samples; the average of the class means if the classes are balanced.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.global_mean(Features(torch.tensor([[0.0, 1.0, 5.0]]), (2, 1)))
    tensor([[2.]])
    """
    if isinstance(features, Moments):
        first = features.means[..., :1]
        return first + ((features.means - first) * features.class_weights).sum(dim=-1, keepdim=True)
    return _mean(features.values)


def centred_means(features: Sampled) -> Tensor:
    """Mbar = M - mu_G 1^T (..., d, K); its columns weighted by n_k/N sum to zero."""
    means = class_means(features)
    shifted = means - means[..., :1]
    return shifted - (shifted * features.class_weights).sum(dim=-1, keepdim=True)


def _centred_gram(features: Sampled) -> tuple[Tensor, Tensor]:
    """The `scaled_gram` of the centred class means."""
    return features.centred_gram if isinstance(features, Moments) else scaled_gram(centred_means(features))


def residuals(features: Features) -> Tensor:
    """R (..., d, N), every sample minus the mean of its class: Sigma_W = R R^T / N."""
    return torch.cat([_centred(block) for block in _blocks(features)], dim=-1)


def within_covariance(features: Sampled) -> Tensor:
    """Sigma_W (..., d, d): the average over all N samples of (h - mu_k)(h - mu_k)^T, k the class of h.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.within_covariance(Features(torch.tensor([[0.0, 2.0, 4.0, 8.0]]), (2, 2)))
    tensor([[2.5000]])
    """
    if isinstance(features, Moments):
        return _scatter(features) / features.samples
    within = residuals(features)
    return within @ within.mT / features.samples


def _scatter(moments: Moments) -> Tensor:
    if moments.scatter is None:
        raise ValueError("expected moments with their scatter, which was not gathered: Accumulator(..., scatter=True)")
    return moments.scatter


def _values(features: Sampled) -> Tensor:
    return features.means if isinstance(features, Moments) else features.values


def _weighted_means(features: Sampled) -> Tensor:
    """B = Mbar diag(n_k/N)^{1/2}, hence Sigma_B = B B^T."""
    return centred_means(features) * features.class_weights.sqrt()


def between_covariance(features: Sampled) -> Tensor:
    """Sigma_B (..., d, d): the sum of (n_k/N) (mu_k - mu_G)(mu_k - mu_G)^T, of rank at most K - 1.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.between_covariance(Features(torch.tensor([[0.0, 0.0, 0.0, 8.0]]), (3, 1)))
    tensor([[12.]])
    """
    between = _weighted_means(features)
    return between @ between.mT


def total_covariance(features: Sampled) -> Tensor:
    """Sigma_T (..., d, d): the average over all N samples of (h - mu_G)(h - mu_G)^T.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.total_covariance(Features(torch.tensor([[0.0, 0.0, 0.0, 8.0]]), (3, 1)))
    tensor([[12.]])
    """
    if isinstance(features, Moments):
        return within_covariance(features) + between_covariance(features)
    centred = _centred(features.values)
    return centred @ centred.mT / features.samples


def snr_matrix(features: Sampled, rtol: float | None = None) -> Tensor:
    """The SNR matrix Sigma_W^{-1/2} Mbar (..., d, K) of han2022, with the symmetric positive definite root.

    The columns carry no weights: for unequal classes it is the same formula, mu_G being the mean of all
    samples. Raises ValueError if Sigma_W is singular: N - K < d, or its smallest eigenvalue is at most `rtol`
    times the largest. Default: max(d, N) eps, the rule of `numpy.linalg.matrix_rank`, eps being the machine
    precision.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.snr_matrix(Features(torch.tensor([[0.0, 4.0, 10.0, 14.0]]), (2, 2)))
    tensor([[-2.5000,  2.5000]])
    """
    check_within_variation(features.class_counts)
    spare, dimension = features.samples - features.classes, features.dimension
    if spare < dimension:
        raise ValueError(f"expected an invertible Sigma_W, got one of rank <= N - K = {spare} < d = {dimension}")
    if rtol is None:
        rtol = max(dimension, features.samples) * torch.finfo(_values(features).dtype).eps
    eigenvalues, basis = eigh(within_covariance(features))
    smallest, largest = eigenvalues[..., :1], eigenvalues[..., -1:]
    if not bool((smallest > rtol * largest).all()):
        raise ValueError(f"expected an invertible Sigma_W, got smallest eigenvalue <= {rtol:.1e} times the largest")
    return (basis / eigenvalues.sqrt().unsqueeze(-2)) @ (basis.mT @ centred_means(features))


def snr_singular_values(features: Sampled, rtol: float | None = None) -> Tensor:
    """w (..., K - 1): the K - 1 largest singular values of `snr_matrix`, descending.

    There are only d of them if d < K - 1: zeros are appended then, as han2022 needs.
    Raises ValueError as `snr_matrix` does.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.snr_singular_values(Features(torch.tensor([[0.0, 4.0, 10.0, 14.0]]), (2, 2)))
    tensor([3.5355])
    """
    values = singular_values(snr_matrix(features, rtol))[..., : features.classes - 1]
    return torch.nn.functional.pad(values, (0, features.classes - 1 - values.shape[-1]))


def _check_between(between: Tensor) -> Tensor:
    if not bool((between != 0).any(dim=-1).any(dim=-1).all()):
        raise ValueError("expected class means that differ, got Sigma_B = 0")
    return between


def nc1_pinv(features: Sampled) -> Tensor:
    """NC1 as tr(Sigma_W Sigma_B^+) / K (Papyan 2020): numerator the trace, denominator the number of classes.

    Sigma_B has rank at most K - 1 and rounding hides it, so that its pseudo-inverse keeps the K - 1 largest
    eigenvalues explicitly (d if d < K - 1), without those that vanish because class means are dependent:
    square roots up to max(d, K) eps times the largest. Within-class variation outside the span of Mbar does
    not count. Raises ValueError if Sigma_B = 0, or every class has one sample.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.nc1_pinv(Features(torch.tensor([[0.0, 4.0, 10.0, 14.0]]), (2, 2)))
    tensor(0.0800)
    """
    check_within_variation(features.class_counts)
    basis = inverse_root(between_axes(features), features.classes)
    return energy_along(features, basis) / (features.samples * features.classes)


def energy_along(features: Sampled, basis: Tensor) -> Tensor:
    """The sum of ||P^T (h - mu_k)||^2 over all samples, N tr(P^T Sigma_W P), for P (..., d, r)."""
    if isinstance(features, Moments):
        return (basis * (_scatter(features) @ basis)).sum(dim=(-2, -1))
    return (basis.mT @ residuals(features)).square().sum(dim=(-2, -1))


def between_axes(features: Sampled) -> tuple[Tensor, Tensor]:
    """U (..., d, r) and s (..., r), descending, with Sigma_B = U diag(s)^2 U^T and r = min(d, K).

    Raises ValueError if Sigma_B = 0.
    """
    between = _check_between(_weighted_means(features))
    if features.dimension < features.classes:
        squares, basis = eigh(between @ between.mT)
        if bool((squares[..., 0] > WELL_CONDITIONED * squares[..., -1]).all()):
            return basis.flip(-1), squares.flip(-1).sqrt()
    u, s, _ = svd(between)
    return u, s


def inverse_root(axes: tuple[Tensor, Tensor], classes: int) -> Tensor:
    """P (..., d, min(K - 1, d)) with P P^T = Sigma_B^+ as in `nc1_pinv`, from `between_axes`; zero where s vanishes."""
    dimension = axes[0].shape[-2]
    u, s = (each[..., : min(classes - 1, dimension)] for each in axes)
    kept = s > max(dimension, classes) * torch.finfo(s.dtype).eps * s[..., :1]
    return u * torch.where(kept, 1 / s, 0).unsqueeze(-2)


def nc1_trace_quotient(features: Sampled) -> Tensor:
    """NC1 as tr(Sigma_W) / tr(Sigma_B), without a pseudo-inverse; it sees variation in every direction.

    Raises ValueError if Sigma_B = 0, or every class has one sample.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.nc1_trace_quotient(Features(torch.tensor([[0.0, 4.0, 10.0, 14.0]]), (2, 2)))
    tensor(0.1600)
    """
    check_within_variation(features.class_counts)
    between = _check_between(_weighted_means(features))
    return energies(features).sum(dim=-1) / features.samples / between.square().sum(dim=(-2, -1))


def energies(features: Sampled) -> Tensor:
    """The sum of ||h - mu_k||^2 over each class, (..., K)."""
    return features.energies if isinstance(features, Moments) else Moments.of(features).energies


def cdnv(features: Sampled) -> Tensor:
    """NC1 as class-distance normalised variance: the mean over pairs of (v_k + v_l) / (2 ||mu_k - mu_l||^2).

    v_k is the mean of ||h - mu_k||^2 over class k; pairs are the K(K-1)/2 of different classes (Galanti, Gyorgy &
    Hutter 2022, On the role of neural collapse in transfer learning, of which this is the mean over pairs). Raises
    ValueError if two class means are equal, or every class has one sample.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.cdnv(Features(torch.tensor([[0.0, 4.0, 10.0, 14.0]]), (2, 2)))
    tensor(0.0400)
    """
    check_within_variation(features.class_counts)
    equal = ValueError("expected class means that differ, got two that are equal")
    if not bool((centred_means(features) != 0).any(dim=-1).any(dim=-1).all()):
        raise equal
    gram, scale = _centred_gram(features)
    variances = energies(features) / gram.new_tensor(features.class_counts) / scale[..., 0] / scale[..., 0]
    norms = torch.diagonal(gram, dim1=-2, dim2=-1)
    summed = torch.zeros_like(variances[..., 0])
    for rows, block in row_blocks(gram):
        sums = norms[..., rows].unsqueeze(-1) + norms.unsqueeze(-2)
        squares = torch.sub(sums, block, alpha=2)
        torch.diagonal(squares[..., rows], dim1=-2, dim2=-1).fill_(torch.inf)  # of a class and itself, which is no pair
        if not bool((squares > sums.mul_(4 * torch.finfo(gram.dtype).eps)).all()):
            raise equal
        summed += (variances[..., rows] * squares.reciprocal_().sum(dim=-1)).sum(dim=-1)
    return summed / (features.classes * (features.classes - 1))  # every pair twice: v_k / d^2 and v_l / d^2


def nc2_norm_deviation(features: Sampled) -> Tensor:
    """NC2, equal norms: the standard deviation of ||mu_k - mu_G|| over classes / its mean (Papyan 2020).

    The coefficient of variation, with division by K in the variance. Zero for a simplex ETF with balanced
    classes. Raises ValueError if Sigma_B = 0.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> statistics.nc2_norm_deviation(Features(torch.tensor([[0.0, 0.0, 0.0, 8.0]]), (3, 1)))
    tensor(0.5000)
    """
    norms = _check_between(centred_means(features)).square().sum(dim=-2).sqrt()
    return norms.std(dim=-1, correction=0) / norms.mean(dim=-1)


def nc2_angle_deviation(features: Sampled) -> Tensor:
    """NC2, equal angles: the mean over pairs of |cos(mu_k - mu_G, mu_l - mu_G) + 1/(K-1)| (Papyan 2020).

    The mean is over the K(K-1)/2 pairs of classes. Zero for a simplex ETF with balanced classes. Raises
    ValueError if a class mean equals the global mean: it has no direction.

    >>> from tightframe.numerics import frames, statistics
    >>> from tightframe.numerics.models import Features
    >>> features = Features(frames.simplex_etf(4, 3, seed=0), class_counts=(1, 1, 1, 1))
    >>> round(statistics.nc2_angle_deviation(features).item(), 12)
    0.0
    """
    directed = (centred_means(features) != 0).any(dim=-2).all(dim=-1)
    gram, _ = _centred_gram(features) if bool(directed.all()) else (directed.new_zeros((1, 1)), None)
    lengths = torch.diagonal(gram, dim1=-2, dim2=-1).sqrt()
    if not bool((lengths > 0).all()):
        raise ValueError("expected class means that differ from the global mean, got one without a direction")
    pairs = features.classes * (features.classes - 1)
    summed = torch.zeros_like(lengths[..., 0])
    for rows, block in row_blocks(gram):
        deviations = block / lengths[..., rows].unsqueeze(-1)
        deviations = deviations.div_(lengths.unsqueeze(-2)).add_(1 / (features.classes - 1)).abs_()
        torch.diagonal(deviations[..., rows], dim1=-2, dim2=-1).zero_()
        summed += deviations.sum(dim=(-2, -1))
    return summed / pairs


def nc2_etf_distance(features: Sampled) -> Tensor:
    """NC2, one number: || G/||G||_F - F/||F||_F ||_F, G the Gram matrix of Mbar and F = I - 11^T/K.

    That is `frames.frame_deviation(centred_means(features), "etf")`: one convention among several in the
    literature, both deviations above in one. Raises ValueError if Sigma_B = 0.
    """
    return nc2_frame_distance(features, "etf")


def nc2_frame_distance(features: Sampled, kind: FrameKind) -> Tensor:
    """NC2 against another frame: `frames.frame_deviation` of the class means, about their global mean for "etf" only.

    The orthogonal frames of models without bias, "of" and "gof", are frames of the class means themselves (Dang et al.
    2023). Raises ValueError if the class means are zero.
    """
    if kind == "etf":
        _check_between(centred_means(features))
    if not isinstance(features, Moments):
        return frame_deviation(centred_means(features) if kind == "etf" else class_means(features), kind)
    return gram_frame_deviation((features.centred_gram if kind == "etf" else features.mean_gram)[0], kind)


def nc2_gram_distance(features: Sampled, gram: Tensor) -> Tensor:
    """NC2 against a predicted geometry: || G/||G||_F - T/||T||_F ||_F, G = M^T M and T (..., K, K) the prediction.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> features = Features(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), (1, 1))
    >>> statistics.nc2_gram_distance(features, torch.diag(torch.tensor([8.0, 2.0])))
    tensor(0.)
    """
    return gram_deviation(class_means(features), gram)


def mean_singular_values(features: Sampled) -> Tensor:
    """Singular values (..., min(d, K)) of Mbar diag(n_k/N)^{1/2}, descending; their squares are those of Sigma_B."""
    return singular_values(_weighted_means(features))


def effective_rank(values: Tensor) -> Tensor:
    """exp of the entropy of singular values (..., *) divided by their sum (Roy & Vetterli 2007); 1 to their number.

    Raises ValueError if a value is negative, or all are zero.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> statistics.effective_rank(torch.tensor([[2.0, 2.0, 0.0], [1.0, 0.0, 0.0]]))
    tensor([2., 1.])
    """
    check_finite("singular values", values)
    total = values.sum(dim=-1, keepdim=True)
    if not bool(((values >= 0).all(dim=-1) & (total[..., 0] > 0)).all()):
        raise ValueError("expected singular values >= 0, not all zero")
    return torch.special.entr(values / total).sum(dim=-1).exp()


def nc3_alignment(classifier: Tensor, features: Sampled) -> Tensor:
    """NC3, self-duality: || W/||W||_F - Mbar^T/||Mbar||_F ||_F, between 0 and 2.

    Papyan 2020 give its square. The classifier is (..., K, d), without bias. Raises ValueError for other
    shapes, NaN, W = 0 or Sigma_B = 0.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> features = Features(torch.tensor([[0.0, 2.0]]), (1, 1))
    >>> statistics.nc3_alignment(torch.tensor([[3.0], [-3.0]]), features)
    tensor(2.)
    """
    means = _check_between(centred_means(features))
    _check_classifier(classifier, features)
    norm = frobenius_norm(classifier, keepdim=True)
    if not bool((norm > 0).all()):
        raise ValueError("expected a classifier that is not zero")
    return frobenius_norm(classifier / norm - means.mT / frobenius_norm(means, keepdim=True))


def nc4_agreement(classifier: Tensor, features: Features, bias: Tensor | None = None) -> Tensor:
    """NC4: the fraction of the N samples where argmax_k (W h + b)_k is the class of the nearest class mean.

    The classifier is (..., K, d), the bias (..., K, 1) or None for zero. One in the collapsed limit (Papyan
    2020 give the fraction that disagrees). A tie goes to the lower class. Raises ValueError for other shapes
    or NaN.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> features = Features(torch.tensor([[-3.0, -1.0, 1.0, 3.0]]), (2, 2))
    >>> statistics.nc4_agreement(torch.tensor([[-1.0], [1.0]]), features)
    tensor(1.)
    >>> statistics.nc4_agreement(torch.tensor([[-1.0], [1.0]]), features, bias=torch.tensor([[4.0], [0.0]]))
    tensor(0.7500)
    """
    _check_classifier(classifier, features)
    logits = classifier @ features.values
    if bias is not None:
        check_matrix("bias", bias, rows=features.classes, columns=1)
        check_finite("bias", bias)
        check_compatible(bias=bias, classifier=classifier, features=features.values)
        logits = logits + bias
    means = centred_means(features)
    nearest = _nearness(means, _centred(features.values))
    agree = logits.argmax(dim=-2) == nearest.argmax(dim=-2)
    return agree.to(features.values.dtype).mean(dim=-1)


def _nearness(means: Tensor, centred: Tensor) -> Tensor:
    """-||h - m||^2 / 2 less the part that all classes share; about mu_G, so that a large offset cancels first."""
    return means.mT @ centred - means.square().sum(dim=-2).unsqueeze(-1) / 2


def nearest_means(moments: Moments, rows: Tensor) -> Tensor:
    """The class of the nearest class mean, for features in rows (N, d); a tie goes to the lower class.

    >>> import torch
    >>> from tightframe.numerics import statistics
    >>> from tightframe.numerics.models import Features
    >>> from tightframe.numerics.moments import Moments
    >>> moments = Moments.of(Features(torch.tensor([[-3.0, -1.0, 1.0, 3.0]]), (2, 2)))
    >>> statistics.nearest_means(moments, torch.tensor([[-9.0], [0.5]]))
    tensor([0, 1])
    """
    centre, means = (each.to(rows) for each in (global_mean(moments), centred_means(moments)))
    return _nearness(means, rows.mT - centre).argmax(dim=-2)


def _check_classifier(classifier: Tensor, features: Sampled) -> None:
    check_matrix("classifier", classifier, rows=features.classes, columns=features.dimension)
    check_finite("classifier", classifier)
    check_compatible(classifier=classifier, features=_values(features))
