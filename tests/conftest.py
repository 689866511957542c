"""Set-up of every test process: one thread, hypothesis profiles, tests that this machine cannot run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before any test imports torch or numpy; subprocesses inherit it. Two threads on a busy machine are slower than one.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

ROOT = Path(__file__).resolve().parent.parent

# No deadline: the first example of a test pays for imports and compiled kernels.
settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("dev", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests marked `gpu` without a CUDA device, and those marked `checkout` outside of a git checkout."""
    for marker, reason, available in (
        ("gpu", "no CUDA device", _has_gpu),
        ("checkout", "not a git checkout", (ROOT / ".git").exists),
    ):
        marked = [item for item in items if item.get_closest_marker(marker)]
        if marked and not available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def no_claims_files() -> Iterator[None]:
    """Claims files that a test names are forgotten after it."""
    yield
    if (files := sys.modules.get("tightframe.papers.claims_files")) is not None:
        files.named.clear()
        os.environ.pop(files.ENVIRONMENT, None)


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder that holds tests/: the checkout, or a copy of tests/ beside nothing else."""
    return ROOT
