"""The tracker of collapse: its numbers are those of stored features, it leaves the training as it is, and says no."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import class_counts, feature_models, seeds
from tightframe.numerics import losses, training
from tightframe.numerics.measurement import METRICS, measure
from tightframe.numerics.models import FeatureModel, Features
from tightframe.numerics.moments import Moments
from tightframe.numerics.mse_split import mse_split
from tightframe.numerics.training import CollapseTracker
from tightframe.papers.dang2023 import tracking
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

Pairs = list[tuple[Tensor, Tensor]]


def data(samples: int = 60, classes: int = 3, inputs: int = 8) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(samples) % classes
    centres = torch.randn(classes, inputs, generator=source)
    return centres[labels] + 0.3 * torch.randn(samples, inputs, generator=source), labels


def network(seed: int = 0, bias: bool = True) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(8, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(16, 5),
        nn.ReLU(),
        nn.Linear(5, 3, bias),
    )


def trained(loader: Any, steps: int, follow: Callable[[nn.Sequential], Callable[[], None]] | None) -> nn.Sequential:
    """A plain loop over a shuffling loader, with dropout: all that draws random numbers."""
    model = network()
    told = follow(model) if follow else lambda: None
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = iter(loader)
    for _ in range(steps):
        try:
            inputs, labels = next(batches)
        except StopIteration:
            batches = iter(loader)
            inputs, labels = next(batches)
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimiser.step()
        told()
    return model


def batches(parts: int = 4) -> Pairs:
    inputs, labels = data()
    return list(zip(inputs.tensor_split(parts), labels.tensor_split(parts), strict=True))


@pytest.mark.parametrize("own", [True, False])
def test_the_training_is_the_same_to_the_last_bit(own: bool) -> None:
    def loader() -> DataLoader[Any]:
        source = torch.Generator().manual_seed(1) if own else None
        return DataLoader(TensorDataset(*data()), batch_size=16, shuffle=True, generator=source)

    alone, common = loader(), loader()
    trackers: list[CollapseTracker] = []

    def follow(model: nn.Sequential) -> Callable[[], None]:
        trackers.append(CollapseTracker(model, common, head="6", layer="2", every=3))
        return trackers[0].step

    plain, followed = trained(alone, 12, None), trained(common, 12, follow)
    for (name, one), (_, other) in zip(plain.state_dict().items(), followed.state_dict().items(), strict=True):
        assert torch.equal(one, other), name
    assert all(module.training for module in followed.modules())
    assert not any(module._forward_hooks for module in followed.modules())
    assert trackers[0].series("nc1_pinv")[0] == [0, 3, 6, 9, 12]
    assert trackers[0].seconds > 0


def test_a_tracker_that_draws_random_numbers_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = DataLoader(TensorDataset(*data()), batch_size=16, shuffle=True)
    plain = trained(loader, 12, None)
    monkeypatch.setattr(training, "_as_it_was", lambda model, loader: nullcontext())
    followed = trained(loader, 12, lambda model: CollapseTracker(model, loader, head="6", every=3).step)
    assert not torch.equal(plain[6].weight, followed[6].weight)


def test_the_numbers_are_those_of_stored_features() -> None:
    model = trained(batches(), 30, None).eval()
    inputs, labels = data()
    tracker = CollapseTracker(model, batches(), head="6", layer=["0"], weight_decay=0.01)
    with torch.no_grad():
        first, last = model[0](inputs), model[:6](inputs)
        logits = model(inputs)
    head = model[6]
    for layer, features, weights in (("0", first, {}), ("6", last, {"classifier": head.weight, "bias": head.bias})):
        stored = measure(features.double(), labels, **{key: each.detach().double() for key, each in weights.items()})
        for name, value in stored.metrics.items():
            if value is not None:
                assert tracker.series(name, layer)[1][-1] == pytest.approx(value, rel=1e-5, abs=1e-6), name
    assert tracker.series("accuracy")[1] == [float((logits.argmax(dim=1) == labels).double().mean())]
    lengths = [row for row in tracker.lengths if row["layer"] == "6"]
    assert [row["row"] for row in lengths] == pytest.approx(head.weight.norm(dim=1).tolist(), rel=1e-6)
    assert [row["mean"] for row in lengths] == pytest.approx(
        [float(last[labels == k].mean(dim=0).norm()) for k in range(3)], rel=1e-5
    )
    assert {row["metric"] for row in tracker.rows if row["layer"] == "0"} == set(METRICS)


@settings(max_examples=30)
@given(feature_models(class_counts(least=2)), seeds(), st.sampled_from([0.0, 1e-3, 0.5]), st.booleans())
def test_the_split_is_that_of_all_samples(model: FeatureModel, seed: int, decay: float, bias: bool) -> None:
    """The reference keeps every sample; the split sees the moments alone."""
    features = model.sample(seed)
    source = torch.Generator().manual_seed(seed)
    classifier = torch.randn(features.classes, features.dimension, generator=source, dtype=torch.float64)
    shift = torch.randn(features.classes, generator=source, dtype=torch.float64) if bias else None
    found = mse_split(Moments.of(features, scatter=True), classifier, shift, decay)
    every = features.extended() if bias else features
    weights = classifier if shift is None else torch.cat([classifier, shift[:, None]], dim=1)
    best = losses.least_squares_minimum(every.values, every.one_hot, decay)
    loss = losses.least_squares_loss(weights, every.values, every.one_hot, decay)
    assert float(found.loss) == pytest.approx(float(loss), rel=1e-10)
    if not (found.converged and best.converged):
        return
    tolerance = 1e-8 * float(loss) + 1e-10 * float(best.stats.condition)
    assert float(found.least_squares) == pytest.approx(float(best.stats.loss), abs=tolerance)
    assert float(found.perpendicular) == pytest.approx(float(loss - best.stats.loss), abs=tolerance)
    assert float(found.within + found.between) == pytest.approx(float(found.least_squares), rel=1e-9, abs=1e-14)
    assert float(found.perpendicular) >= 0


def test_a_compiled_model_and_callbacks_are_followed() -> None:
    model = network()
    compiled = torch.compile(model, backend="eager")
    plain = CollapseTracker(model, batches(), head="6", layer="2")
    tracker = CollapseTracker(compiled, batches(), head="6", layer="2", every=1)  # pyrefly: ignore

    class Trainer:
        """Calls what it is given as Lightning's LambdaCallback does: with itself, the module, outputs, batch, index."""

        def fit(self, module: Any, on_train_batch_end: Callable[..., None]) -> None:
            for index, batch in enumerate(batches(2)):
                on_train_batch_end(self, module, {"loss": 0.0}, batch, batch_idx=index)

    compiled(data()[0])
    Trainer().fit(compiled, tracker.step)
    assert tracker.series("nc1_pinv", "2")[0] == [0, 1, 2]
    for layer in ("2", "6"):
        assert tracker.series("cdnv", layer)[1][0] == plain.series("cdnv", layer)[1][0]


SHARED = """
import json, os, sys, torch
from torch import distributed, nn
from tightframe.numerics.training import CollapseTracker
folder, rank = sys.argv[1], int(sys.argv[2])
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
torch.set_num_threads(1)
inputs, labels = torch.load(f"{folder}/data.pt", weights_only=True)
model = nn.Sequential(nn.Linear(8, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 3))
model.load_state_dict(torch.load(f"{folder}/model.pt", weights_only=True))
data = torch.utils.data.TensorDataset(inputs, labels)
sampler = torch.utils.data.DistributedSampler(data, shuffle=True, seed=1)
loader = torch.utils.data.DataLoader(data, batch_size=8 + 3 * rank, sampler=sampler)  # batches need not agree
spread = nn.parallel.DistributedDataParallel(model)
options = {"head": "3", "layer": "1", "every": 1, "weight_decay": 0.01}
tracker = CollapseTracker(spread, loader, **options, group=distributed.group.WORLD)
optimiser = torch.optim.SGD(spread.parameters(), lr=0.5)
nn.functional.cross_entropy(spread(inputs[rank::2]), labels[rank::2]).backward()
optimiser.step()
tracker.step()
torch.save(model.state_dict(), f"{folder}/after{rank}.pt")
with open(f"{folder}/{rank}.json", "w") as file:
    json.dump([tracker.rows, tracker.lengths], file)
distributed.destroy_process_group()
"""


def test_processes_that_share_the_data_have_the_table_of_the_whole(tmp_path: Path) -> None:
    """Two processes, each with a half: at the start, and after a step of DistributedDataParallel."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 5), nn.LayerNorm(5), nn.ReLU(), nn.Linear(5, 3))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    torch.save(data(), tmp_path / "data.pt")
    words = [sys.executable, "-c", SHARED, str(tmp_path)]
    options = {"env": os.environ | {"GLOO_SOCKET_IFNAME": "lo"}, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*words, str(rank)], **options) for rank in range(2)]  # type: ignore[call-overload]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    tracker = CollapseTracker(model, batches(), head="3", layer="1", every=1, weight_decay=0.01)
    first = [dict(row) for row in tracker.rows]
    model.load_state_dict(torch.load(tmp_path / "after0.pt", weights_only=True))
    tracker.step()
    assert first != tracker.rows[len(first) :]  # the step has changed something
    for rank in range(2):
        rows, lengths = json.loads((tmp_path / f"{rank}.json").read_text())
        assert [row["metric"] for row in rows] == [row["metric"] for row in tracker.rows]
        for mine, theirs in zip(rows, tracker.rows, strict=True):
            assert mine["value"] == pytest.approx(theirs["value"], rel=1e-5, abs=1e-6), mine
        assert len(lengths) == len(tracker.lengths)
    alone = CollapseTracker(model, batches()[:2], head="3")  # half of the data is not the whole
    assert alone.series("nc1_pinv")[1][0] != pytest.approx(tracker.series("nc1_pinv")[1][-1], rel=1e-3)


def test_maps_are_flattened() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(12, 3))
    inputs, labels = data(inputs=20)
    images = inputs.reshape(-1, 1, 4, 5)
    tracker = CollapseTracker(model, [(images, labels)], layer="0", head="2")
    assert tracker.moments["0"].dimension == 12
    assert tracker.series("nc1_pinv", "0")[1] == tracker.series("nc1_pinv", "2")[1]


def test_what_is_not_defined_is_nan_and_says_why() -> None:
    model = network()
    tracker = CollapseTracker(model, batches(), head="6")
    with torch.no_grad():
        model[4].weight.fill_(math.nan)
    with pytest.warns(UserWarning, match="NaN at step 0: the features have NaN or infinite entries"):
        tracker.measure()
    assert math.isnan(tracker.series("nc1_pinv")[1][-1])
    assert "NaN or infinite" in tracker.refused[0]["reason"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.no_grad():
            model[4].weight.zero_()
            model[4].bias.fill_(1.0)
        tracker.step()
        tracker.measure()
    assert {row["reason"] for row in tracker.refused if row["metric"] == "cdnv" and row["step"] == 1} == {
        "expected class means that differ, got two that are equal"
    }
    assert tracker.series("within_trace")[1][-1] == 0


def once() -> Iterator[tuple[Tensor, Tensor]]:
    yield data()


@pytest.mark.parametrize(
    ("options", "loader", "words"),
    [
        ({"head": "head"}, None, "no module of the model is called 'head'; there are 0, 1, 2"),
        ({"head": "6", "layer": "66"}, None, "no module of the model is called '66'; the nearest are 6"),
        ({"head": "2"}, None, "expected head '2' to be a torch.nn.Linear, got ReLU"),
        ({}, None, "expected the name of a layer, or of the head"),
        ({"layer": "2"}, None, "expected classes, their number"),
        ({"head": "6", "classes": 4}, None, "expected a head with 4 outputs, got 3"),
        ({"head": "6", "layer": "6"}, None, "as the head or as a layer, not both"),
        ({"head": "6", "every": 0}, None, "expected every to be an integer >= 1"),
        ({"head": "6"}, once(), "expected a loader that can be read again"),
        ({"head": "6"}, [], "expected a loader with at least one batch"),
        ({"head": "6"}, [data()[0]], "expected batches that are pairs"),
        ({"head": "6"}, [(data()[0], data()[1][:5])], "expected 60 integer labels"),
        ({"head": "6"}, [(data()[0], data()[1] + 1)], "expected labels in 0..2, got 1..3"),
        ({"head": "6"}, [(data()[0], 0 * data()[1])], "got none of class 1, 2"),
    ],
)
def test_mistakes_show_at_once(options: dict[str, Any], loader: Any, words: str) -> None:
    model = network()
    with pytest.raises(ValueError, match=r"expected|no module|got none") as caught:
        CollapseTracker(model, batches() if loader is None else loader, **options)
    assert words in str(caught.value)
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_predicted_lengths_stand_beside_those_of_a_descent_on_free_features() -> None:
    """Features as parameters: gradient descent reaches the lengths of dang2023, for classes of different sizes."""
    counts, decays = (12, 6, 3), (0.05, 0.002)
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    torch.manual_seed(0)
    features = nn.Embedding(21, 6)
    model = nn.Sequential(features, nn.Linear(6, 3, bias=False)).double()
    tracker = CollapseTracker(model, [(torch.arange(21), labels)], head="1", every=None)
    targets = nn.functional.one_hot(labels, 3).double()
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        error = (model(torch.arange(21)) - targets).square().sum() / 42
        value = error + decays[0] / 2 * model[1].weight.square().sum() + decays[1] / 2 * features.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)  # type: ignore[arg-type]
    tracker.steps = 1
    tracker.measure()
    rows = tracking.beside(tracker, decays)
    assert len(rows) == 6
    for row in rows[3:]:
        assert row["mean"] == pytest.approx(row["predicted_mean"], rel=1e-5)
        assert row["row"] == pytest.approx(row["predicted_row"], rel=1e-5)
        assert row["alive"]
        assert row["overlap"] < 1e-4
        assert row["alignment"] == pytest.approx(1)
    lengths = [row["predicted_mean"] for row in rows[3:]]
    assert min(abs(a - b) for a, b in pairwise(lengths)) > 0.01  # so that the order of the classes is seen
    wrong = tracking.beside(tracker, (decays[1], decays[0]))
    assert any(abs(row["mean"] / row["predicted_mean"] - 1) > 0.1 for row in wrong[3:])
    with pytest.raises(ValueError, match="a head without bias"):
        tracking.beside(CollapseTracker(network(), batches(), head="6"), decays)


def test_features_with_labels_are_measured_whatever_their_order() -> None:
    features = FeatureModel((4, 3, 5), 6).sample(0)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Identity(), nn.Linear(6, 3)).double()
    turned, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    rows, labels = features.values.mT, features.labels

    def found(rows: Tensor, labels: Tensor) -> dict[str, float]:
        tracker = CollapseTracker(model, [(rows, labels)], layer="0", classes=3)
        return {row["metric"]: row["value"] for row in tracker.rows}

    plain = found(rows, labels)
    for metric, value in found(rows[order], labels[order]).items():
        assert value == pytest.approx(plain[metric], rel=1e-10), metric
    for metric, value in found(
        3 * rows @ turned, labels
    ).items():  # traces grow, all else is free of scale and rotation
        wanted = plain[metric] * (9 if metric in ("within_trace", "between_trace") else 1)
        assert value == pytest.approx(wanted, rel=1e-9), metric
    moved = found(rows + 1e3, labels)
    for metric in ("nc1_pinv", "cdnv", "nc2_angle_deviation", "mean_effective_rank"):
        assert moved[metric] == pytest.approx(plain[metric], rel=1e-8), metric
    assert abs(moved["nc2_of_distance"] - plain["nc2_of_distance"]) > 0.1  # of uncentred means
    assert isinstance(features, Features)
