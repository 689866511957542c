"""The check of a GPU: it needs no install, says when there is no GPU, and sees a wrong engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tightframe.numerics import gpu_check

CPU = torch.device("cpu")


@pytest.mark.checkout
def test_it_runs_from_the_root_without_an_install(root: Path) -> None:
    code = "import sys; from numerics import gpu_check; sys.exit(gpu_check.main([]) or 'tightframe' in sys.modules)"
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{gpu_check.NONE}\n", "")


BARE = """
import importlib.metadata, re, sys

def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


allowed, pending = set(), ["torch", "numpy"]
while pending:  # torch and numpy, and what torch itself needs
    name = plain(re.split(r"[^A-Za-z0-9_.-]", pending.pop())[0])
    if name in allowed:
        continue
    allowed.add(name)
    try:
        pending += [each for each in importlib.metadata.requires(name) or () if "extra ==" not in each]
    except importlib.metadata.PackageNotFoundError:
        pass
found = importlib.metadata.packages_distributions()
barred = {name for name, owners in found.items() if not allowed & {plain(owner) for owner in owners}}
assert {"scipy", "hypothesis", "flint", "tightframe"} & barred == {"scipy", "hypothesis", "flint", "tightframe"}


class Barred:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in barred:
            raise ImportError(f"{name} is not there")


sys.meta_path.insert(0, Barred())
import torch
from numerics import gpu_check

cpu, rates = torch.device("cpu"), gpu_check.Rates(1e9, 1e9, 1e9)
found = list(gpu_check.agreements(cpu, iterations=2, runs=2, starts=2))
gpu_check.report(cpu, "none", (1, 2), rates, found)
sys.exit(gpu_check.main([]))
"""


@pytest.mark.checkout
def test_all_of_it_runs_with_torch_and_numpy_only(root: Path) -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", BARE]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{gpu_check.NONE}\n", "")


def test_the_same_engine_agrees_and_another_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(gpu_check.agreements(CPU, iterations=20, runs=3, starts=3))
    assert len(found) == 8
    assert all(each.holds for each in found)
    assert any(each.difference > 0 for each in found)  # float32

    monkeypatch.setattr(gpu_check, "_distance", lambda found, expected: 1.0)
    assert sum(not each.holds for each in gpu_check.agreements(CPU, iterations=2, runs=2, starts=2)) == 6
    assert not gpu_check.Agreement("no number", float("nan"), 1.0).holds


def test_a_share_of_the_bound_is_one_where_only_the_traffic_counts() -> None:
    assert gpu_check.Throughput("copy", 1, seconds=2.0, of_bytes=2.0, of_operations=0.5).share == 1.0
    numbers, operations = gpu_check.traffic_and_operations(depth=3, columns=68)
    assert numbers == 5 * (2 * 64 * 64 + 4 * 64 + 64 * 68)
    assert operations > 6 * 4 * 64 * 64 * 2


@pytest.mark.gpu
def test_the_gpu_agrees_with_the_cpu() -> None:
    assert gpu_check.main([]) == 0
