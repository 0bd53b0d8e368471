"""How tests compare what runs have left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from karma_envs.files import read_npz
from training import TrainConfig

Tiny = Callable[..., TrainConfig]


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same_results(one: Path, other: Path, replicas: int = 1) -> None:
    """Metrics, karma distributions and policies, bit for bit."""
    for name in ("metrics.csv", "karma.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    for number in range(replicas):
        assert_same_policy(one, other, number, number)


def assert_same_policy(one: Path, other: Path, number: int, other_number: int) -> None:
    first = read_npz(one / f"policy-{number}.npz")
    second = read_npz(other / f"policy-{other_number}.npz")
    assert first.keys() == second.keys()
    for name in first.keys() - {"run"}:  # which says whose they are
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def status(folder: Path) -> str:
    return str(json.loads((folder / "run.json").read_text())["status"])
