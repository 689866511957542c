"""The verb measure: the same numbers from every format, the nearest frame, one plain line for what is no such file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tightframe import papers
from tightframe.numerics import frames
from tightframe.papers import cli

CLASSES, DIMENSION = 4, 12
LABELS = np.arange(40) % CLASSES


def features(kind: str = "etf") -> np.ndarray[Any, Any]:
    """Rows near the columns of a frame."""
    if kind == "etf":
        columns = 5 + frames.simplex_etf(CLASSES, DIMENSION, seed=0)
    elif kind == "of":
        columns = frames.orthogonal_frame(CLASSES, DIMENSION, seed=0)
    else:
        columns = frames.general_orthogonal_frame([3.0, 2.0, 1.0, 0.5], DIMENSION, seed=0)
    noise = np.random.default_rng(0).normal(size=(len(LABELS), DIMENSION))
    return columns.mT.numpy()[LABELS] + 0.01 * noise


X = features()
W = np.random.default_rng(1).normal(size=(CLASSES, DIMENSION))


def npz(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "found.npz", **arrays)
    return folder / "found.npz"


def test_the_numbers_are_those_of_the_definitions(tmp_path: Path) -> None:
    """nc1_pinv written out with matrices, Sigma_B truncated at rank K - 1."""
    found = papers.measure(npz(tmp_path, features=X, labels=LABELS, classifier=W, bias=np.zeros(CLASSES)))
    means = np.stack([X[k == LABELS].mean(axis=0) for k in range(CLASSES)])
    within = (X - means[LABELS]).T @ (X - means[LABELS]) / len(X)
    centred = means - X.mean(axis=0)
    values, basis = np.linalg.eigh(centred.T @ centred / CLASSES)
    kept = slice(DIMENSION - (CLASSES - 1), None)
    inverse = (basis[:, kept] / values[kept]) @ basis[:, kept].T
    assert found["nc1_pinv"] == pytest.approx(np.trace(within @ inverse) / CLASSES, rel=1e-9)
    assert found["class_counts"] == [10] * CLASSES
    assert found["gram"][0][1] == pytest.approx(-1 / 3, abs=0.02)
    assert found["nearest"] == "simplex ETF"
    assert found["nc3_alignment"] == pytest.approx(
        np.linalg.norm(W / np.linalg.norm(W) - centred / np.linalg.norm(centred)), rel=1e-9
    )
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_every_format_gives_the_same(tmp_path: Path) -> None:
    tensors = {"features": torch.tensor(X), "labels": torch.tensor(LABELS), "classifier": torch.tensor(W)}
    torch.save(tensors, tmp_path / "found.pt")
    save_file(tensors, tmp_path / "found.safetensors")
    paths = [
        npz(tmp_path, features=X, labels=LABELS, classifier=W),
        tmp_path / "found.pt",
        tmp_path / "found.safetensors",
    ]
    first, *others = [papers.measure(path) | {"file": ""} for path in paths]
    assert all(other == first for other in others)


@pytest.mark.parametrize(("kind", "name"), [("of", "orthogonal frame"), ("gof", "general orthogonal frame")])
def test_the_nearest_frame_is_named(tmp_path: Path, kind: str, name: str) -> None:
    assert papers.measure(npz(tmp_path, features=features(kind), labels=LABELS))["nearest"] == name


def test_the_lengths_at_small_decay_are_recognised(tmp_path: Path) -> None:
    counts = [16, 4, 1, 1]
    labels = np.repeat(np.arange(4), counts)
    columns = frames.general_orthogonal_frame([count**-0.25 for count in counts], DIMENSION, seed=0)
    noise = 1e-6 * np.random.default_rng(0).normal(size=(len(labels), DIMENSION))
    found = papers.measure(npz(tmp_path, features=columns.mT.numpy()[labels] + noise, labels=labels))
    assert found["nc2_small_decay_distance"] < 1e-5 < found["nc2_of_distance"]


def test_features_of_more_dimensions_are_flattened_and_said_to_be(tmp_path: Path, capsys: Any) -> None:
    flat = papers.measure(npz(tmp_path, features=X, labels=LABELS))
    path = npz(tmp_path, features=X.reshape(-1, 3, 2, 2), labels=LABELS[:, None].astype(np.uint8))
    found = papers.measure(path)
    assert found["flattened_from"] == [40, 3, 2, 2]
    assert found["nc1_pinv"] == flat["nc1_pinv"]
    assert cli.main(["measure", str(path), "--out", str(tmp_path / "figures")]) == 0
    out = capsys.readouterr().out
    assert "features of shape (40, 3, 2, 2), flattened sample by sample" in out
    assert {each.name for each in (tmp_path / "figures").iterdir()} == {"measure.json", "measure.png", "measure.pdf"}
    assert cli.main(["measure", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["nc1_pinv"] == flat["nc1_pinv"]


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def bad_files(folder: Path) -> dict[str, tuple[Path, str]]:
    def arrays(name: str, **given: Any) -> Path:
        np.savez(folder / f"{name}.npz", **given)
        return folder / f"{name}.npz"

    def text(name: str) -> Path:
        (folder / name).write_text("hello")
        return folder / name

    hole = X.copy()
    hole[3, 2] = np.nan
    without = np.where(LABELS == 1, 2, LABELS)
    torch.save({"features": Malicious(), "labels": torch.tensor(LABELS)}, folder / "malicious.pt")
    torch.save(torch.tensor(X), folder / "tensor.pt")
    with zipfile.ZipFile(folder / "empty.npz", "w"):
        pass
    return {
        "fewer labels": (
            arrays("a", features=X, labels=LABELS[:7]),
            "expected 40 labels, one a sample, got shape (7,)",
        ),
        "a missing class": (arrays("b", features=X, labels=without), "every class 0..3, got none of class 1"),
        "NaN": (arrays("c", features=hole, labels=LABELS), "expected finite features, got NaN or infinite entries"),
        "infinity": (arrays("d", features=X / 0, labels=LABELS), "expected finite features"),
        "negative labels": (arrays("e", features=X, labels=LABELS - 1), "expected labels in 0..K-1, got -1"),
        "huge labels": (arrays("f", features=X, labels=LABELS + 10**12), "expected labels in 0..K-1 with a sample"),
        "fractions": (arrays("g", features=X, labels=LABELS + 0.5), "expected labels that are integers"),
        "words": (arrays("h", features=X, labels=LABELS.astype(str)), "expected labels to be numbers"),
        "one dimension": (arrays("i", features=X[:, 0], labels=LABELS), "expected features of shape (n, d)"),
        "no samples": (arrays("j", features=X[:0], labels=LABELS[:0]), "n and d from 1, got (0, 12)"),
        "other names": (arrays("k", x=X, y=LABELS), "expected the arrays features and labels, got x, y"),
        "one sample a class": (arrays("l", features=X[:4], labels=LABELS[:4]), "a class with at least 2 samples"),
        "equal means": (arrays("m", features=np.ones((40, 3)), labels=LABELS), "expected class means that differ"),
        "another classifier": (
            arrays("n", features=X, labels=LABELS, classifier=W[:2]),
            "expected classifier of shape",
        ),
        "a bias alone": (arrays("o", features=X, labels=LABELS, bias=W[:, 0]), "expected a classifier beside the bias"),
        "objects": (arrays("p", features=np.array([Malicious()]), labels=[0]), "Object arrays cannot be loaded"),
        "an empty archive": (folder / "empty.npz", "expected the arrays features and labels, got none"),
        "no archive": (text("q.npz"), "expected an archive .npz of arrays, but"),
        "no tensors": (text("r.pt"), "torch.load with weights_only refuses it"),
        "no safetensors": (text("s.safetensors"), "expected a file in the format safetensors"),
        "code": (folder / "malicious.pt", "torch.load with weights_only refuses it"),
        "a tensor": (folder / "tensor.pt", "expected a dictionary of tensors"),
        "another ending": (text("t.csv"), "expected a file .npz, .pt or .safetensors"),
        "no file": (folder / "none.npz", "no such file"),
    }


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.filterwarnings("ignore:invalid value")
def test_bad_files_give_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name, (path, words) in bad_files(tmp_path).items():
        assert cli.main(["measure", str(path)]) == 2, name
        out, err = capsys.readouterr()
        assert out == "", name
        assert err.startswith("tightframe: "), name
        assert err.count("\n") == 1, name
        assert words in err, f"{name}: {err}"
    assert not Path("executed").exists()
