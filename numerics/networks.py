"""Small networks on images: a backbone, linear layers without activation, and the classifier, all of torch.nn."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .shapes import check_size

__all__ = ["convolutional", "linear_product", "perceptron"]


def perceptron(
    shape: Sequence[int], classes: int, seed: int, widths: Sequence[int] = (128, 128), depth: int = 1, bias: bool = True
) -> nn.Sequential:
    """A multilayer perceptron on images of this shape: `backbone`, ReLU after every layer, then `depth` linear layers.

    The features are the output of `backbone`, (rows, widths[-1]), not negative; `linear` holds all linear layers but
    the last, of the same width, and `head` is the last, (rows, classes). `bias` is that of the head; inner linear
    layers have none, as in deep linear models. The start is torch's, but for the inner linear layers,
    which are orthogonal, so that depth does not shrink the signal; it is drawn from the seed alone.

    >>> from tightframe.numerics import networks
    >>> network = networks.perceptron((1, 8, 8), classes=10, seed=0, widths=(32, 16), depth=3)
    >>> [name for name, _ in network.named_children()], network.head.in_features
    (['backbone', 'linear', 'head'], 16)
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in zip([_product(shape), *widths[:-1]], widths, strict=True):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return _with_linear_layers(nn.Sequential(*layers), widths[-1], classes, depth, bias)


def convolutional(
    shape: Sequence[int], classes: int, seed: int, channels: Sequence[int] = (16, 32), depth: int = 1, bias: bool = True
) -> nn.Sequential:
    """A convolutional network: 3 x 3 convolutions with ReLU, each followed by 2 x 2 max pooling; else as `perceptron`.

    The features are the last maps, flattened: (rows, channels[-1] height width / 4^len(channels)).

    >>> from tightframe.numerics import networks
    >>> networks.convolutional((1, 8, 8), classes=10, seed=0).head.in_features
    128
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for inputs, outputs in zip([shape[0], *channels[:-1]], channels, strict=True):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        sides = [side // 2 ** len(channels) for side in shape[1:]]
        return _with_linear_layers(
            nn.Sequential(*layers, nn.Flatten()), channels[-1] * _product(sides), classes, depth, bias
        )


def linear_product(network: nn.Sequential) -> Tensor:
    """W_M ... W_1 (classes, d), the product of `head` and `linear`, from features to outputs without the bias.

    >>> from tightframe.numerics import networks
    >>> tuple(networks.linear_product(networks.perceptron((4,), 3, seed=0, widths=(7,), depth=2)).shape)
    (3, 7)
    """
    found = network.get_parameter("head.weight").detach()
    for weight in reversed(list(network.get_submodule("linear").parameters())):
        found = found @ weight.detach()
    return found


def _product(sizes: Sequence[int]) -> int:
    return int(torch.Size(sizes).numel())


def _with_linear_layers(backbone: nn.Sequential, width: int, classes: int, depth: int, bias: bool) -> nn.Sequential:
    check_size("depth", depth)
    inner = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(depth - 1)))
    head = nn.Linear(width, classes, bias=bias)
    for layer in inner.parameters():
        nn.init.orthogonal_(layer)
    return nn.Sequential(OrderedDict[str, nn.Module](backbone=backbone, linear=inner, head=head))
