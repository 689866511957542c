"""Experiments on real networks: the images, the trainings, what is said of them, and the claim that rests on them."""

from __future__ import annotations

import copy
import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tightframe import papers
from tightframe.numerics import fitting, images, networks
from tightframe.papers import cli, experiments, real_networks, registry, verification
from tightframe.papers.dang2023 import heads
from tightframe.papers.evidence import Kind, Verdict
from tightframe.papers.han2022 import proximity
from tightframe.papers.store import Record, Store, shipped_runs

CLAIM = registry.find("han2022/proximity")
SMALL = {"model": "mlp", "n": 12, "ratio": 3, "seeds": 2, "epochs": 6, "jobs": 1}


@pytest.fixture(scope="module")
def runs() -> dict[str, dict[str, Any]]:
    return {
        "proximity": papers.simulate("proximity", loss="mse", **SMALL),
        "deep-linear-heads": papers.simulate("deep-linear-heads", M=(1, 3), **SMALL | {"style": "standard,features"}),
        "low-rank-heads": papers.simulate("low-rank-heads", M=(1, 2), **SMALL),
    }


@pytest.mark.parametrize("name", ["proximity", "deep-linear-heads", "low-rank-heads"])
def test_numbers_words_and_figures(name: str, runs: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    numbers, experiment = runs[name], experiments.find(name)
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers
    assert len(numbers["runs"]) == experiment.stages(experiments.read(experiment.inputs, _inputs(name)))
    assert not numbers["converged"]  # six epochs do not suffice, which is said
    assert "did not reach zero training error" in numbers["reason"]
    lines = experiment.summary(numbers)
    assert len(lines) == 2 + len(real_networks.by_setting(numbers["runs"]))
    assert [path.suffix for path in experiments.save(experiment, numbers, tmp_path)] == [".json", ".png", ".pdf"]


def _inputs(name: str) -> dict[str, Any]:
    more = {"proximity": {"loss": "mse"}, "deep-linear-heads": {"M": (1, 3), "style": "standard,features"}}
    return SMALL | more.get(name, {"M": (1, 2)})


@pytest.mark.parametrize("name", ["proximity", "deep-linear-heads", "low-rank-heads"])
def test_every_combination_is_trained_with_convolutions(name: str, tmp_path: Path) -> None:
    """Two epochs with few images: classes of both kinds, both losses, both styles, one and six linear layers."""
    choices: dict[str, dict[str, Any]] = {
        "proximity": {"classes": "balanced,imbalanced", "loss": "mse,ce"},
        "deep-linear-heads": {"classes": "balanced,imbalanced", "style": "standard,features", "M": (1, 6)},
        "low-rank-heads": {"M": (1, 6)},
    }
    small = {"model": "cnn", "n": 4, "ratio": 2, "seeds": 1, "epochs": 2, "jobs": 1}
    numbers, experiment = papers.simulate(name, **small, **choices[name]), experiments.find(name)
    settings = real_networks.by_setting(numbers["runs"])
    assert len(settings) == {"proximity": 4, "deep-linear-heads": 8, "low-rank-heads": 2}[name]
    for record in numbers["runs"]:
        assert record["finite"]
        missing = {metric for metric, values in record["metrics"].items() if values[-1] is None}
        assert missing == ({"lengths"} if name == "deep-linear-heads" and record["style"] == "standard" else set())
    assert len(experiment.summary(numbers)) == 2 + len(settings)
    assert len(experiments.save(experiment, numbers, tmp_path)) == 3


def test_the_same_seed_gives_the_same(runs: dict[str, dict[str, Any]]) -> None:
    again = papers.simulate("proximity", loss="mse", **SMALL)
    assert again["runs"] == runs["proximity"]["runs"]
    other = papers.simulate("proximity", seed=1, loss="mse", **SMALL | {"seeds": 1})
    assert other["runs"][0]["metrics"] != again["runs"][0]["metrics"]


def test_deep_linear_heads_see_the_predicted_matrices_and_others() -> None:
    """Features and layers at the predicted minimum have no distance from it; with other decays they have."""
    counts = (20, 10, 5)
    training = real_networks.Training("mlp", "imbalanced", "mse", "features", 2, 0, "", {"lam": 2e-3, "lam_H": 1e-4})
    wanted, complete = heads.target(training, counts)
    assert complete
    assert wanted is not None
    gram = torch.tensor(wanted[1]).diag()
    assert heads.distance(gram, torch.tensor(wanted[1])) < 1e-12
    other, _ = heads.target(replace(training, inputs={"lam": 2e-2, "lam_H": 1e-4}), counts)
    assert other is not None
    assert heads.distance(gram, torch.tensor(other[1])) > 1e-3
    assert heads.target(replace(training, style="standard"), counts) == (None, False)


def test_the_objective_is_the_loss_of_free_features() -> None:
    """On all samples, the parts are those of the model: a half of the squared error, and of the decays."""
    chosen = images.digits().subset((4,) * 10, 0)
    network = networks.perceptron(chosen.shape, 10, seed=0, widths=(20, 15), depth=3, bias=False)
    recipe = fitting.Recipe("mse", 1e-3, 2e-3)
    found = fitting.objective(network, chosen.values, chosen.labels, recipe, 40)
    features = network.backbone(chosen.values)  # pyrefly: ignore
    logits = features @ networks.linear_product(network).mT
    error = (logits - torch.eye(10)[chosen.labels]).square().sum() / 80
    assert float(found.detach()) == pytest.approx(float((error + 1e-3 * features.square().sum()).detach()), rel=1e-5)
    batches = [fitting.objective(network, chosen.values[i::2], chosen.labels[i::2], recipe, 40) for i in range(2)]
    assert float(torch.stack(batches).mean().detach()) == pytest.approx(float(found.detach()), rel=1e-5)


def test_a_training_that_diverges_is_no_evidence() -> None:
    numbers = papers.simulate("proximity", loss="mse", classes="balanced", **SMALL | {"rate": 1e6})
    assert not numbers["converged"]
    assert not any(record["finite"] for record in numbers["runs"])
    assert proximity.judge(numbers).outcome == "undecided"


# ----------------------------------------------------------------------------------------------- the empirical claim


def test_the_recorded_verdict_follows_from_the_shipped_runs(capsys: pytest.CaptureFixture[str]) -> None:
    standing = verification.standing(CLAIM)
    assert standing.verdict is CLAIM.recorded is Verdict.SUPPORTED
    (piece,) = standing.evidence
    assert piece.kind == "simulation"
    assert cli.main(["verify", "--recheck", CLAIM.id]) == 0
    assert cli.main(["show", CLAIM.id]) == 0
    out = capsys.readouterr().out
    for word in ("mlp balanced", "cnn balanced", "mlp imbalanced", "cnn imbalanced", "whole terminal phase: none"):
        assert word in out


def test_other_runs_say_something_else(tmp_path: Path) -> None:
    """The judgement is of the numbers: with a large L_perp in one start a setting is missed, in all nothing is seen."""
    shipped = shipped_runs(CLAIM.id, CLAIM.hash)
    assert shipped is not None
    assert verification.judged(CLAIM, shipped, 0.0).outcome == "agree"

    def spoiled(which: Any) -> dict[str, Any]:
        numbers = copy.deepcopy(dict(shipped))
        for record in numbers["runs"]:
            if which(record):
                record["metrics"]["mse_perp"][-1] = record["metrics"]["mse_ls"][-1]
        return numbers

    one = verification.judged(CLAIM, spoiled(lambda record: (record["model"], record["seed"]) == ("cnn", 1)), 0.0)
    assert one.outcome == "partial"
    assert "not: cnn balanced, cnn imbalanced" in one.coverage
    assert verification.judged(CLAIM, spoiled(lambda record: True), 0.0).outcome == "undecided"
    silent = copy.deepcopy(dict(shipped))
    for record in silent["runs"]:
        record["metrics"]["accuracy"][-1] = 0.99  # no terminal phase
    assert verification.judged(CLAIM, silent, 0.0).outcome == "undecided"
    assert verification.judged(CLAIM, {"runs": [{}]}, 0.0).outcome == "undecided"
    folder = tmp_path / "runs" / "han2022"
    folder.mkdir(parents=True)
    record = {"hash": CLAIM.hash, "numbers": spoiled(lambda record: True)}
    (folder / "proximity.json").write_text(json.dumps(record))
    assert verification.recheck([CLAIM.id], tmp_path).problems == (
        "han2022/proximity: recorded as supported, but its runs say open",
    )
    (folder / "proximity.json").write_text(json.dumps(record | {"hash": "0"}))
    assert "no runs are shipped" in verification.recheck([CLAIM.id], tmp_path).problems[0]


def test_verify_stores_runs_and_judges_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {**SMALL, "loss": "mse", "classes": "balanced", "seeds": 1}
    assert CLAIM.runs is not None
    claim = replace(CLAIM, runs=replace(CLAIM.runs, quick=inputs))
    store = Store(tmp_path)
    found = verification.verify_claim(claim, store, verification.BUDGETS["quick"])
    assert found.verdict is Verdict.OPEN  # six epochs show nothing
    assert found.exit_code == 3
    monkeypatch.setattr(verification, "observe", lambda *_: pytest.fail("run again"))
    assert verification.verify_claim(claim, store, verification.BUDGETS["quick"]).evidence == found.evidence
    key = verification._key(claim, "runs", 0, verification.BUDGETS["quick"])
    stored = store.get(key)
    assert stored is not None
    green = replace(stored.evidence, outcome="agree", coverage="everywhere")
    store.put(Record(key, green, stored.certificate))  # a record that claims more than its numbers say
    assert verification.verify_claim(claim, store, verification.BUDGETS["quick"]).verdict is Verdict.OPEN


def test_a_missing_package_leaves_one_claim_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without scikit-learn the table is finished, a line says what to install, and nothing of it is stored."""
    words = ["verify", CLAIM.id, "han2022/total-covariance", "--store", str(tmp_path)]
    with monkeypatch.context() as hidden:
        for name in [each for each in sys.modules if each.partition(".")[0] == "sklearn"]:
            hidden.delitem(sys.modules, name)
        hidden.setitem(sys.modules, "sklearn", None)
        assert cli.main([*words, "--json"]) == 3  # recorded as supported, which nothing was seen of
        out, err = capsys.readouterr()
        verdicts = {each["id"]: each["verdict"] for each in json.loads(out)}
        assert verdicts == {CLAIM.id: "open", "han2022/total-covariance": "proved"}
        assert err.splitlines() == [
            "tightframe: han2022/proximity: The data set digits needs the package scikit-learn, which is not "
            "installed: pip install 'tightframe[data]'"
        ]
        assert cli.main(words) == 3
        assert "a package is missing" in capsys.readouterr().out
        assert cli.main(["simulate", "proximity"]) == 2
    assert not list(tmp_path.glob("han2022.proximity*"))
    observed = verification.judged(CLAIM, shipped_runs(CLAIM.id, CLAIM.hash) or {}, 0.0), {}
    monkeypatch.setattr(verification, "observe", lambda *_: observed)
    assert cli.main([*words, "--json"]) == 0  # once it is there, it is tried again


def test_only_empirical_claims_rest_on_runs() -> None:
    with pytest.raises(ValueError, match="an empirical claim rests on runs"):
        replace(CLAIM, kind=Kind.IDENTITY)
    with pytest.raises(ValueError, match="an empirical claim rests on runs"):
        replace(CLAIM, runs=None)


# ------------------------------------------------------------------------------------------------------- the images


def idx(array: Any) -> bytes:
    sizes = b"".join(size.to_bytes(4) for size in array.shape)
    return bytes((0, 0, 8, array.ndim)) + sizes + array.astype(np.uint8).tobytes()


def test_mnist_and_cifar_are_read_from_a_folder(tmp_path: Path) -> None:
    pixels, labels = np.arange(6 * 4 * 4).reshape(6, 4, 4), np.array([0, 1, 0, 1, 2, 2])
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels)))
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(labels))
    found = images.folder(tmp_path)
    assert found.class_counts == (2, 2, 2)
    assert torch.equal((found.values[:, 0] * 255).round().long(), torch.tensor(pixels))
    (raw / "train-labels-idx1-ubyte").write_bytes(idx(labels[:5]))
    with pytest.raises(ValueError, match="expected as many labels as images, got 5 and 6"):
        images.folder(tmp_path)
    (raw / "train-labels-idx1-ubyte").write_bytes(b"hello")
    with pytest.raises(ValueError, match="expected an idx file of bytes in 1 dimensions"):
        images.folder(tmp_path)
    cifar = tmp_path / "cifar" / "cifar-10-batches-bin"
    cifar.mkdir(parents=True)
    record = np.concatenate([[7], np.arange(3072) % 251]).astype(np.uint8)
    for name in images.CIFAR:
        (cifar / name).write_bytes(record.tobytes() * 2)
    found = images.folder(tmp_path / "cifar")
    assert found.shape == (3, 32, 32)
    assert found.labels.tolist() == [7] * 10
    assert float(found.values[0, 0, 0, 5] * 255) == pytest.approx(5)
    pickles = tmp_path / "python" / "cifar-10-batches-py"
    pickles.mkdir(parents=True)
    with pytest.raises(ValueError, match="holds pickles, which run code when read"):
        images.folder(tmp_path / "python")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=nowhere"], "expected 'digits' or a folder with MNIST or CIFAR-10, got 'nowhere'"),
        (["model=resnet"], "model (networks): expected some of mlp, cnn, got resnet"),
        (["loss="], "loss (loss functions): expected some of mse, ce"),
        (["n=500"], "expected at most 178 images of class 0, got 500"),
        (["epochs=0"], "epochs (epochs): expected an integer >= 1, got 0"),
        (["device=tpu"], "device (where networks are trained): expected one of auto, cpu, cuda, got tpu"),
    ],
)
def test_wrong_inputs_give_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [each for word in ("jobs=1", *words) for each in ("--set", word)]
    assert cli.main(["simulate", "proximity", *sets, "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tightframe: ")
    assert message in err
