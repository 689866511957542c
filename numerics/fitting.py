"""Training a network of `networks` on images, with a look at chosen epochs: torch's SGD, seeded throughout."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .images import Images
from .linalg import one_thread
from .shapes import check_scale, check_size, generator

__all__ = ["Recipe", "fit", "objective"]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: SGD with momentum, the rate divided by 10 at half and at three quarters of the epochs.

    `loss` is "mse", (1/2) Ave ||f(x) - y||^2 with one-hot targets, or "ce", Ave of the cross-entropy. The decay of all
    parameters is (decay/2) ||.||^2, torch's; with `feature_decay` it acts on the linear layers only, and the features
    have (feature_decay/2) ||H||_F^2 over all N samples (batches have their share): the model of unconstrained features.
    """

    loss: Literal["mse", "ce"] = "mse"
    decay: float = 5e-4
    feature_decay: float | None = None
    epochs: int = 200
    rate: float = 0.05
    momentum: float = 0.9
    batch: int = 128

    def __post_init__(self) -> None:
        if self.loss not in ("mse", "ce"):
            raise ValueError(f"expected loss 'mse' or 'ce', got {self.loss!r}")
        for name in ("decay", "rate", "momentum"):
            check_scale(name, getattr(self, name))
        if self.feature_decay is not None:
            check_scale("feature_decay", self.feature_decay)
        check_size("epochs", self.epochs)
        check_size("batch", self.batch)


def fit(
    network: nn.Sequential,
    images: Images,
    recipe: Recipe,
    seed: int,
    look: Callable[[int], None],
    epochs: Collection[int],
) -> bool:
    """Train in place; `look(epoch)` is called after these epochs, 0 being before the first.

    The order of samples is drawn from the seed; one thread. False if a loss was not finite: training stops there, and
    nothing more is looked at.
    """
    source = generator(seed)
    plain = recipe.feature_decay is not None
    linear = [*network.get_submodule("linear").parameters(), *network.get_submodule("head").parameters()]
    groups = [
        {"params": network.get_submodule("backbone").parameters(), "weight_decay": 0.0 if plain else recipe.decay},
        {"params": linear, "weight_decay": recipe.decay},
    ]
    optimiser = torch.optim.SGD(groups, lr=recipe.rate, momentum=recipe.momentum)
    half, later = max(1, recipe.epochs // 2), max(1, 3 * recipe.epochs // 4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [half, later])
    with one_thread():
        for epoch in range(recipe.epochs + 1):
            if epoch in epochs:
                look(epoch)
            if epoch == recipe.epochs:
                break
            order = torch.randperm(len(images.labels), generator=source).to(images.labels.device)
            for index in order.split(recipe.batch):
                optimiser.zero_grad()
                loss = objective(network, images.values[index], images.labels[index], recipe, len(images.labels))
                if not bool(torch.isfinite(loss)):
                    return False
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            schedule.step()
    return True


def objective(network: nn.Sequential, inputs: Tensor, labels: Tensor, recipe: Recipe, samples: int) -> Tensor:
    """The loss on a batch, with the decay of the features but not that of parameters, which SGD adds."""
    features = network.get_submodule("backbone")(inputs)
    outputs = network.get_submodule("head")(network.get_submodule("linear")(features))
    if recipe.loss == "ce":
        loss = nn.functional.cross_entropy(outputs, labels)
    else:
        targets = nn.functional.one_hot(labels, outputs.shape[1]).to(outputs)
        loss = nn.functional.mse_loss(outputs, targets, reduction="sum") / (2 * len(labels))
    if recipe.feature_decay:
        loss = loss + recipe.feature_decay / 2 * samples * features.square().sum(dim=1).mean()
    return loss
