"""Labelled images: scikit-learn's digits, and MNIST or CIFAR-10 from a folder. Nothing is ever downloaded."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .shapes import check_class_counts, generator

__all__ = ["Images", "digits", "folder"]


@dataclass(frozen=True, eq=False)
class Images:
    """Images (N, channels, height, width), float32 in 0..1, and their labels (N,) in 0..K-1, int64."""

    values: Tensor
    labels: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """(channels, height, width)."""
        return tuple(self.values.shape[1:])

    @property
    def class_counts(self) -> tuple[int, ...]:
        """n_1, ..., n_K."""
        return check_class_counts(torch.bincount(self.labels).tolist())

    def subset(self, class_counts: tuple[int, ...], seed: int) -> Images:
        """So many images of each of the first classes, drawn from the seed. Raises ValueError if there are fewer."""
        found = self.class_counts
        if len(class_counts) > len(found):
            raise ValueError(f"expected at most {len(found)} classes, got {len(class_counts)}")
        source, kept = generator(seed), list[Tensor]()
        for k, wanted in enumerate(check_class_counts(class_counts)):
            if wanted > found[k]:
                raise ValueError(f"expected at most {found[k]} images of class {k}, got {wanted}")
            members = torch.nonzero(self.labels == k)[:, 0]
            kept.append(members[torch.randperm(found[k], generator=source)[:wanted]])
        index = torch.cat(kept)
        return Images(self.values[index], self.labels[index])

    def to(self, device: torch.device) -> Images:
        """The same on another device."""
        return Images(self.values.to(device), self.labels.to(device))


def digits() -> Images:
    """The 1797 digits of 8 x 8 pixels that come with scikit-learn (test set of Alpaydin & Kaynak 1998, UCI).

    Raises ValueError, in a line that names the extra, where scikit-learn is not installed.

    >>> from tightframe.numerics import images
    >>> found = images.digits()
    >>> tuple(found.values.shape), found.class_counts
    ((1797, 1, 8, 8), (178, 182, 177, 183, 181, 182, 181, 179, 174, 180))
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise ValueError(
            "the digits need the package scikit-learn, which is not installed: pip install 'tightframe[data]'"
        ) from None
    pixels, target = load_digits(return_X_y=True)
    values = torch.tensor(pixels, dtype=torch.float32).reshape(-1, 1, 8, 8) / 16
    return Images(values, torch.tensor(target).long())


# The formats: http://yann.lecun.com/exdb/mnist (idx) and https://www.cs.toronto.edu/~kriz/cifar.html (binary version).
IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
CIFAR = tuple(f"data_batch_{number}.bin" for number in range(1, 6))


def folder(path: Path | str) -> Images:
    """The training images of MNIST (torchvision's `MNIST/raw`, gzipped or not) or CIFAR-10 below this folder.

    Of CIFAR-10 the binary version is read (`cifar-10-batches-bin`): the one of torchvision, `cifar-10-batches-py`, is
    made of pickles, which run code when they are read. Raises ValueError for a folder that holds neither, or files that
    are not what their names say.
    """
    root = Path(path)
    if not root.is_dir():
        raise ValueError(f"expected 'digits' or a folder with MNIST or CIFAR-10, got {str(path)!r}")
    for inner in (root, root / "MNIST" / "raw", root / "raw"):
        files = [_first(inner / name, inner / f"{name}.gz") for name in IDX]
        if files[0] is not None and files[1] is not None:
            return _mnist(files[0], files[1])
    for inner in (root, root / "cifar-10-batches-bin"):
        if all((inner / name).is_file() for name in CIFAR):
            return _cifar([inner / name for name in CIFAR])
    if (root / "cifar-10-batches-py").is_dir():
        raise ValueError(
            f"{root / 'cifar-10-batches-py'} holds pickles, which run code when read; expected the binary version, "
            "cifar-10-batches-bin"
        )
    raise ValueError(f"expected MNIST/raw or cifar-10-batches-bin in the folder {str(path)!r}, found neither")


def _first(*paths: Path) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _idx(path: Path, dimensions: int) -> Tensor:
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise ValueError(f"expected a gzip file, got {path} ({error})") from None
    head = 4 + 4 * dimensions
    sizes = [int.from_bytes(data[at : at + 4]) for at in range(4, head, 4)]
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) != head + int(np.prod(sizes)):
        raise ValueError(f"expected an idx file of bytes in {dimensions} dimensions, got something else in {path}")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=head).reshape(sizes).copy())


def _mnist(images: Path, labels: Path) -> Images:
    pixels, classes = _idx(images, 3), _idx(labels, 1)
    if len(pixels) != len(classes):
        raise ValueError(f"expected as many labels as images, got {len(classes)} and {len(pixels)} in {images.parent}")
    return Images(pixels[:, None].float() / 255, classes.long())


def _cifar(paths: list[Path]) -> Images:
    size = 1 + 3 * 32 * 32
    parts = [np.frombuffer(path.read_bytes(), np.uint8) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if not part.size or part.size % size or part[::size].max() > 9:
            raise ValueError(f"expected records of {size} bytes, a label and 3 x 32 x 32 pixels, got others in {path}")
    records = torch.from_numpy(np.concatenate(parts).reshape(-1, size))
    return Images(records[:, 1:].reshape(-1, 3, 32, 32).float() / 255, records[:, 0].long())
