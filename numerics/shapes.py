"""The one vocabulary of shapes, and the policy for dtype, device and seed.

Samples are columns, and leading dimensions are a batch:

| object        | shape         | symbol                                             |
|---------------|---------------|----------------------------------------------------|
| features      | (..., d, N)   | H; the samples of class 0 first, then of class 1...|
| class means   | (..., d, K)   | M                                                  |
| classifier    | (..., K, d)   | W; (..., K, d + 1) with bias, on extended features |
| targets       | (..., K, N)   | Y; one-hot unless said otherwise                   |
| a vector      | (..., d, 1)   | mu, v, b                                           |
| class_counts  | tuple of K    | (n_1, ..., n_K); N is their sum                    |

N counts all samples. Balanced means that all n_k are equal: a value, not a second code path. Tensors are
float64 unless asked otherwise; float32 is allowed, shorter floats are not (LAPACK has no such routines).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "DTYPES",
    "all_finite",
    "check_batch",
    "check_class_counts",
    "check_compatible",
    "check_dtype",
    "check_finite",
    "check_matrix",
    "check_scale",
    "check_size",
    "check_within_variation",
    "generator",
    "is_balanced",
    "resolve_device",
]

DTYPES = (torch.float64, torch.float32)


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The torch device that is meant: "auto" is cuda where there is one and cpu otherwise.

    Raises ValueError for a device that is unknown or absent on this machine.

    >>> from tightframe.numerics import shapes
    >>> shapes.resolve_device("cpu")
    device(type='cpu')
    >>> shapes.resolve_device("gpu")
    Traceback (most recent call last):
    ValueError: expected device 'auto', 'cpu', 'cuda' or a torch.device of these types, got 'gpu'
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError):
        resolved = None
    if resolved is None or resolved.type not in ("cpu", "cuda"):
        raise ValueError(f"expected device 'auto', 'cpu', 'cuda' or a torch.device of these types, got {str(device)!r}")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"expected a device of this machine, got {str(device)!r} with "
            f"{torch.cuda.device_count()} cuda devices present"
        )
    return resolved


def generator(seed: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A fresh random generator, a function of the seed alone; the global seed is neither read nor set.

    Streams differ between devices, so what must be reproducible everywhere is drawn on the cpu and moved.

    >>> from tightframe.numerics import shapes
    >>> shapes.generator(7).initial_seed()
    7
    """
    check_size("seed", seed, least=0)
    if seed >= 2**63:
        raise ValueError(f"expected seed < 2^63, got {seed}")
    return torch.Generator(resolve_device(device)).manual_seed(seed)


def is_balanced(class_counts: Sequence[int]) -> bool:
    """Whether all classes have the same number of samples."""
    return len(set(class_counts)) == 1


def check_class_counts(class_counts: Sequence[int]) -> tuple[int, ...]:
    """The counts as a tuple of Python integers; ValueError unless there are K >= 2, each at least 1.

    >>> from tightframe.numerics import shapes
    >>> shapes.check_class_counts([3, 0])
    Traceback (most recent call last):
    ValueError: expected at least one sample in every class, got class_counts (3, 0)
    """
    try:
        counts = tuple(operator.index(count) for count in class_counts)
    except TypeError:
        raise ValueError(f"expected class_counts to be a sequence of integers, got {class_counts!r}") from None
    if len(counts) < 2:
        raise ValueError(f"expected at least 2 classes, got class_counts {counts}")
    if min(counts) < 1:
        raise ValueError(f"expected at least one sample in every class, got class_counts {counts}")
    return counts


def check_within_variation(class_counts: Sequence[int]) -> None:
    """ValueError if every class has one sample: then Sigma_W = 0 whatever the features, and says nothing."""
    if max(class_counts) < 2:
        raise ValueError(f"expected a class with at least 2 samples, got class_counts {tuple(class_counts)}")


def check_size(name: str, size: object, least: int = 1) -> None:
    """ValueError unless the size is an integer >= least."""
    if not isinstance(size, int) or isinstance(size, bool) or size < least:
        raise ValueError(f"expected {name} to be an integer >= {least}, got {size!r}")


def check_scale(name: str, scale: object) -> None:
    """ValueError unless the number is finite and >= 0."""
    if not isinstance(scale, int | float) or not math.isfinite(scale) or scale < 0:
        raise ValueError(f"expected {name} to be a finite number >= 0, got {scale!r}")


def check_matrix(name: str, matrix: object, rows: int | None = None, columns: int | None = None) -> None:
    """ValueError unless the matrix is a float32 or float64 tensor of shape (..., rows, columns).

    None stands for any size >= 1. Reads no entry, hence costs nothing and never waits for a device; see
    `check_finite`.

    >>> import torch
    >>> from tightframe.numerics import shapes
    >>> shapes.check_matrix("classifier", torch.zeros(3, 4), rows=3, columns=5)
    Traceback (most recent call last):
    ValueError: expected classifier of shape (..., 3, 5), got (3, 4)
    """
    if not isinstance(matrix, Tensor):
        raise ValueError(f"expected {name} to be a torch.Tensor, got {type(matrix).__name__}")
    if matrix.dtype not in DTYPES:
        raise ValueError(f"expected {name} of dtype float64 or float32, got {matrix.dtype}")
    wanted = (rows, columns)
    sizes = tuple(matrix.shape[-2:])
    if len(sizes) < 2 or any(size < 1 or want not in (None, size) for size, want in zip(sizes, wanted, strict=True)):
        shape = ", ".join("*" if want is None else str(want) for want in wanted)
        raise ValueError(f"expected {name} of shape (..., {shape}), got {tuple(matrix.shape)}")


def all_finite(tensor: Tensor) -> bool:
    """Whether no entry is NaN or infinite: the extremes say so, in a tenth of the time of looking at every entry.

    >>> import torch
    >>> from tightframe.numerics import shapes
    >>> [shapes.all_finite(torch.tensor(x)) for x in ([], [1.0, -2.0], [1.0, float("nan")], [-float("inf"), 0.0])]
    [True, True, False, False]
    """
    return tensor.numel() == 0 or bool(torch.isfinite(torch.stack(torch.aminmax(tensor))).all())


def check_finite(name: str, matrix: Tensor) -> None:
    """ValueError if an entry is NaN or infinite. Reads every entry once."""
    if not all_finite(matrix):
        raise ValueError(f"expected finite {name}, got NaN or infinite entries")


def check_batch(batch: Iterable[int]) -> None:
    """ValueError unless the batch shape is a sequence of positive integers."""
    try:
        sizes = tuple(batch)
    except TypeError:
        raise ValueError(f"expected batch to be a tuple of integers, got {batch!r}") from None
    for size in sizes:
        check_size("every batch size", size)


def check_dtype(dtype: torch.dtype) -> None:
    """ValueError unless the dtype is float64 or float32."""
    if dtype not in DTYPES:
        raise ValueError(f"expected dtype float64 or float32, got {dtype}")


def check_compatible(**tensors: Tensor) -> None:
    """ValueError unless the tensors have one dtype, one device, and batch shapes that broadcast.

    >>> import torch
    >>> from tightframe.numerics import shapes
    >>> shapes.check_compatible(classifier=torch.zeros(2, 3, 4), features=torch.zeros(5, 4, 9))
    Traceback (most recent call last):
    ValueError: expected batch shapes that broadcast, got classifier (2,), features (5,)
    """
    for what, values in (
        ("one dtype", {name: tensor.dtype for name, tensor in tensors.items()}),
        ("one device", {name: tensor.device for name, tensor in tensors.items()}),
    ):
        if len(set(values.values())) > 1:
            listed = ", ".join(f"{name} {value}" for name, value in values.items())
            raise ValueError(f"expected {what}, got {listed}")
    batches = {name: tuple(tensor.shape[:-2]) for name, tensor in tensors.items()}
    try:
        np.broadcast_shapes(*batches.values())
    except ValueError:
        listed = ", ".join(f"{name} {batch}" for name, batch in batches.items())
        raise ValueError(f"expected batch shapes that broadcast, got {listed}") from None
