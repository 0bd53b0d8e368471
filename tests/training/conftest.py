"""A run that takes a tenth of a second, and what is left of one that was interrupted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training import TrainConfig, train
from training.runs.replica import Replica


@pytest.fixture
def tiny() -> Callable[..., TrainConfig]:
    """Makes configurations of runs of 8 epochs of 50 steps with 20 agents."""

    def make(**changes: Any) -> TrainConfig:
        return tiny_config(**changes)

    return make


def tiny_config(**changes: Any) -> TrainConfig:
    fields: dict[str, Any] = {
        "game_config": {"n_agents": 20},
        "learner": {"initial_q": -50},
        "n_steps": 400,
        "epoch_length": 50,
        "records": 4,
        "seed": 3,
    }
    return TrainConfig.from_dict({**fields, **changes})


@pytest.fixture(scope="session")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two replicas; not to be changed."""
    return train(tiny_config(replicas=2, threads=1), tmp_path_factory.mktemp("finished") / "run").folder


@pytest.fixture(scope="session")
def unfinished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that broke off in its sixth epoch, with a checkpoint of the fifth; not to be changed."""

    def break_off(replica: Replica, rate: float) -> None:
        if replica.epoch == 6:
            raise ConnectionAbortedError

    folder = tmp_path_factory.mktemp("unfinished") / "run"
    with contextlib.suppress(ConnectionAbortedError):
        train(tiny_config(checkpoint_seconds=0), folder, observer=break_off)
    assert not (folder / "policy-0.npz").exists()
    return folder
