"""The verb measure: collapse metrics of stored features, their nearest frame, and figures of their geometry."""

from __future__ import annotations

import json
import math
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .drawing import ASYMPTOTE, CIRCLE, COLOURS, STYLE, frame, key
from .experiments import save_figure
from .store import write_atomically
from .writing.conversion import required

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor

Arrays = Mapping[str, Any]

NAMES = ("features", "labels", "classifier", "bias")
FRAMES = {
    "nc2_etf_distance": "simplex ETF",
    "nc2_of_distance": "orthogonal frame",
    "nc2_gof_distance": "general orthogonal frame",
}
SAYS = {
    "within_trace": "tr Sigma_W",
    "between_trace": "tr Sigma_B",
    "nc1_pinv": "tr(Sigma_W Sigma_B^+) / K",
    "nc1_trace_quotient": "tr Sigma_W / tr Sigma_B",
    "cdnv": "class-distance normalised variance, mean over pairs",
    "nc2_norm_deviation": "norms of centred class means: deviation / mean",
    "nc2_angle_deviation": "mean |cos + 1/(K-1)| of pairs of centred class means",
    "nc2_etf_distance": "normalised distance of the Gram matrix from a simplex ETF",
    "nc2_of_distance": "the same of uncentred class means from an orthogonal frame",
    "nc2_gof_distance": "the same from orthogonal columns of any lengths",
    "nc2_small_decay_distance": "the same from the lengths predicted as decays vanish, without bias",
    "mean_effective_rank": "effective rank of the centred class means",
    "nc3_alignment": "|| W/||W|| - Mbar^T/||Mbar|| ||",
    "nc4_agreement": "decisions that are those of the nearest class mean",
}
EQUAL = 0.05  # distance from an orthogonal frame, up to which columns count as one
LARGEST_GRAM = 100  # classes: of more, the Gram matrix is in the figure but not in the numbers


def measure(file: Path | str) -> dict[str, Any]:
    """Metrics of the arrays ``features`` (n x d), ``labels``, and optionally ``classifier`` and ``bias`` in a file.

    The file is .npz, .pt (a dictionary of tensors, read with ``weights_only``) or .safetensors. Features of more
    dimensions are flattened to n x d, each sample in the order of its axes, which ``flattened_from`` says. What is
    measured is defined in `tightframe.numerics.statistics`; ``nearest`` is the frame of least distance. Of the claim
    dang2023/small-decay-lengths is the frame of ``nc2_small_decay_distance``: orthogonal class means whose squared
    lengths are inversely as the roots of class sizes.

    Raises:
        ValueError: in one line, for a file that is not what its name says, or arrays that do not fit.
        OSError: if the file cannot be read.
    """
    path = Path(file)
    features, labels, classifier, bias, shape = arrays(path)
    from ..numerics import statistics
    from ..numerics.measurement import measure as measured

    try:
        found = measured(features, labels, classifier, bias)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    gram = _gram(statistics.centred_means(found.moments))
    values = statistics.mean_singular_values(found.moments).tolist()
    metrics = found.metrics
    lengths = found.moments.means.new_tensor(found.moments.class_counts) ** -0.5
    return {
        "file": str(path),
        "samples": found.moments.samples,
        "dimension": found.moments.dimension,
        "classes": found.moments.classes,
        "class_counts": list(found.moments.class_counts),
        "flattened_from": None if shape is None else list(shape),
        **metrics,
        "nc2_small_decay_distance": float(statistics.nc2_gram_distance(found.moments, lengths.diag())),
        "nearest": nearest(metrics),
        "mean_lengths": found.moments.means.norm(dim=0).tolist(),
        "mean_singular_values": values,
        "gram": gram.tolist() if found.moments.classes <= LARGEST_GRAM else None,
    }


def nearest(metrics: Mapping[str, float | None]) -> str:
    """The frame of least distance, or a special one of it that is as near.

    The centred columns of an orthogonal frame are a simplex ETF, and every orthogonal frame is a general one: so an
    orthogonal frame is named up to a distance of 5 %, and a general one where it is at less than half of the others'.

    Examples:
        >>> nearest({"nc2_etf_distance": 0.3, "nc2_of_distance": 0.2, "nc2_gof_distance": 0.05})
        'general orthogonal frame'
        >>> nearest({"nc2_etf_distance": 0.01, "nc2_of_distance": 0.4, "nc2_gof_distance": 0.3})
        'simplex ETF'
    """
    distances = {name: value for name in FRAMES if (value := metrics[name]) is not None}
    etf, of, gof = (distances[name] for name in FRAMES)
    if of <= EQUAL:
        return FRAMES["nc2_of_distance"]
    if gof < min(etf, of) / 2:
        return FRAMES["nc2_gof_distance"]
    return FRAMES["nc2_etf_distance" if etf <= of else "nc2_of_distance"]


def _gram(means: Tensor) -> Tensor:
    """Of the centred class means, over the mean of its diagonal."""
    gram = means.mT @ means
    scale = gram.diagonal().mean()
    return gram / scale if scale > 0 else gram


# ---- reading
def arrays(path: Path) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, tuple[int, ...] | None]:
    """Features (n, d), labels (n,), classifier and bias as tensors, and the shape that was flattened, if one was."""
    reader = READERS.get(path.suffix)
    if reader is None:
        raise ValueError(f"expected a file .npz, .pt or .safetensors, got {str(path)!r}")
    if not path.is_file():
        raise ValueError(f"cannot read {path} ({'it is a folder' if path.is_dir() else 'no such file'})")
    given = reader(path)
    for name in ("features", "labels"):
        if name not in given:
            listed = ", ".join(sorted(map(str, given))[:10]) or "none"
            raise ValueError(f"{path}: expected the arrays features and labels, got {listed}")
    import torch

    tensors = {name: _tensor(path, name, given[name]) for name in NAMES if given.get(name) is not None}
    features, labels = tensors["features"], tensors["labels"]
    if features.ndim < 2 or not features.numel():
        raise ValueError(f"{path}: expected features of shape (n, d), n and d from 1, got {tuple(features.shape)}")
    shape = tuple(features.shape) if features.ndim > 2 else None
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != len(features):
        raise ValueError(f"{path}: expected {len(features)} labels, one a sample, got shape {tuple(labels.shape)}")
    if labels.is_floating_point():
        whole = labels.round()
        if not bool((whole == labels).all()):
            raise ValueError(f"{path}: expected labels that are integers, got fractions or NaN")
        labels = whole.long()
    if not features.is_floating_point():
        features = features.to(torch.float64)
    features = features.reshape(len(features), -1)
    classifier, bias = tensors.get("classifier"), tensors.get("bias")
    if classifier is not None:
        classifier = classifier.to(torch.float64)
        bias = None if bias is None else bias.to(torch.float64).reshape(-1)
    elif bias is not None:
        raise ValueError(f"{path}: expected a classifier beside the bias")
    try:
        _check(features, labels)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return features, labels, classifier, bias, shape


def _check(features: Tensor, labels: Tensor) -> None:
    import torch

    from ..numerics.shapes import check_finite

    check_finite("features", features)
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        raise ValueError(f"expected labels in 0..K-1, got {low}")
    if high >= len(labels):
        raise ValueError(f"expected labels in 0..K-1 with a sample of every class, got {high} of {len(labels)} samples")
    missing = torch.nonzero(torch.bincount(labels.long()) == 0)[:, 0].tolist()
    if missing:
        listed = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        raise ValueError(f"expected samples of every class 0..{high}, got none of class {listed}")


def _tensor(path: Path, name: str, given: Any) -> Tensor:
    import numpy as np
    import torch

    if isinstance(given, np.ndarray):
        if given.dtype.kind not in "fiu":
            raise ValueError(f"{path}: expected {name} to be numbers, got {given.dtype}")
        given = torch.from_numpy(np.ascontiguousarray(given.astype(given.dtype.newbyteorder("="))))
    if not isinstance(given, torch.Tensor) or given.is_complex() or given.dtype == torch.bool or given.is_sparse:
        kind = str(given.dtype) if isinstance(given, torch.Tensor) else type(given).__name__
        raise ValueError(f"{path}: expected {name} to be an array of real numbers, got {kind}")
    found = given.detach().cpu()
    return found.float() if found.dtype in (torch.float16, torch.bfloat16) else found


def _npz(path: Path) -> Arrays:
    import numpy as np

    if not zipfile.is_zipfile(path):
        raise ValueError(f"expected an archive .npz of arrays, but {path} is none")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in NAMES if name in archive.files} or dict.fromkeys(archive.files)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise ValueError(
            f"expected an archive .npz of arrays of numbers, got something else in {path} ({error})"
        ) from None


def _pt(path: Path) -> Arrays:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of protocols, before torch refuses the file
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch has no class for a file that it cannot read
        reason = f"torch.load with weights_only refuses it: {type(error).__name__}"
        raise ValueError(f"expected a dictionary of tensors in {path}; {reason}") from None
    if not isinstance(found, Mapping):
        raise ValueError(f"expected a dictionary of tensors in {path}, got {type(found).__name__}")
    return found


def _safetensors(path: Path) -> Arrays:
    library = required("safetensors", "safetensors", "A file .safetensors", "data")
    try:
        with library.safe_open(path, framework="pt") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in NAMES if name in names} or dict.fromkeys(names)
    except (library.SafetensorError, OSError, ValueError) as error:
        raise ValueError(f"expected a file in the format safetensors, got something else in {path} ({error})") from None


READERS: Mapping[str, Callable[[Path], Arrays]] = {".npz": _npz, ".pt": _pt, ".pth": _pt, ".safetensors": _safetensors}


# ---- text and figures
def plain(data: Mapping[str, Any]) -> str:
    """The table of metrics."""
    counts = data["class_counts"]
    sizes = f"{counts[0]} each" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    lines = [f"{data['samples']} samples of dimension {data['dimension']}, {data['classes']} classes ({sizes})"]
    if data["flattened_from"]:
        lines.append(f"features of shape {tuple(data['flattened_from'])}, flattened sample by sample")
    for name, says in SAYS.items():
        if data[name] is not None:
            lines.append(f"{name:<24} {data[name]:<12.6g} {says}")
    lines.append(f"{'nearest':<24} {data['nearest']}")
    return "\n".join(lines)


def save(data: Mapping[str, Any], folder: Path) -> list[Path]:
    """The numbers as JSON, and the figure as PNG and PDF.

    Raises:
        OSError: if the folder cannot be written to.
    """
    paths = [folder / "measure.json"]
    write_atomically(paths[0], json.dumps(data, indent=1, allow_nan=False) + "\n")
    return [*paths, *save_figure("measure", lambda: figure(data), folder)]


def figure(data: Mapping[str, Any]) -> Figure:
    """The Gram matrix of the centred class means, over its mean diagonal, and their singular values."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(dict(STYLE)):
        drawn = Figure(figsize=(7.0, 2.9))
        drawn.subplots_adjust(left=0.08, right=0.985, bottom=0.17, top=0.86, wspace=0.5)
        left, right = drawn.subplots(1, 2)
        gram = data["gram"]
        if gram is not None:
            size = max(1.0, max(abs(x) for row in gram for x in row))
            shown = left.imshow(gram, cmap="RdBu_r", vmin=-size, vmax=size, interpolation="nearest")
            drawn.colorbar(shown, ax=left, fraction=0.046, pad=0.04)
            left.set_xlabel("class")
            left.set_ylabel("class")
        else:
            left.text(0.5, 0.5, f"{data['classes']} classes:\nno Gram matrix is drawn", ha="center", va="center")
            left.set_axis_off()
        left.set_title("Gram matrix of centred class means", loc="left")
        frame(right, "b")
        left.text(-0.12, 1.03, "(a)", transform=left.transAxes, ha="right", va="bottom", weight="bold")
        values = [value for value in data["mean_singular_values"] if value > 1e-12 * data["mean_singular_values"][0]]
        right.plot(range(1, len(values) + 1), values, color=COLOURS[0], **CIRCLE)
        equal = math.sqrt(data["between_trace"] / min(data["classes"] - 1, data["dimension"]))
        right.axhline(equal, **ASYMPTOTE)
        if min(values) < max(values) / 10:
            right.set_yscale("log")
        else:
            right.set_ylim(0, 1.08 * max(values))
        right.set_xlabel("index")
        right.set_ylabel(r"singular values of $\bar M\,\mathrm{diag}(n_k/N)^{1/2}$")
        right.xaxis.get_major_locator().set_params(integer=True)
        key(right, ("measured", CIRCLE | {"color": COLOURS[0]}), ("all equal", ASYMPTOTE))
    return drawn
