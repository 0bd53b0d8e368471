"""A study is the same wherever its trials are made, and loses none but those that were lost."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import karma_envs
from agents.planners import Design, Evaluation, Inner, design
from agents.planners.inner import Arrays
from agents.planners.inner.crowd import CrowdInner
from agents.planners.inner.equilibrium import EquilibriumInner
from agents.planners.inner.learning import LearningInner
from agents.planners.space import Point
from karma_envs.jobs import in_threads
from tests.agents.planners.inner_problems import SQUARE, Bowl
from training.common.backends import ready
from training.planning.config import DesignConfig
from training.planning.folder import Plan
from training.planning.plan import design_to_folder


@dataclass
class Deadly(Bowl):
    """A bowl in which who comes to an x above 1 is killed."""

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        if float(point["x"]) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(point, seed=seed, warm=warm)


HOW: dict[str, Any] = {"method": "random", "workers": 2, "seed": 5}


@pytest.mark.parametrize("name", ["joblib", "ray"])
def test_a_study_is_the_same_on_every_backend(name: str, tmp_path: Path) -> None:
    pytest.importorskip(name)
    here = design(SQUARE, Bowl(noise=0.1), "f", budget=5, **HOW)
    design(SQUARE, Bowl(noise=0.1), "f", budget=3, storage=tmp_path, **HOW)
    with ready(name, 2) as backend:
        # Of a batch that was cut short, and begun with what trials made elsewhere left.
        there = design(SQUARE, Bowl(noise=0.1), "f", budget=5, storage=tmp_path, backend=backend, **HOW)
    assert there.trials == Design.load(tmp_path).trials == here.trials
    assert any(trial.warm_from is not None for trial in there.trials)


@pytest.mark.nightly  # where a process is lost others must be begun
@pytest.mark.parametrize("name", ["joblib", "ray"])
def test_a_worker_that_is_lost_is_one_failed_trial(name: str) -> None:
    pytest.importorskip(name)
    here = design(SQUARE, Bowl(), "f", budget=7, **HOW)
    with ready(name, 2) as backend:
        there = design(SQUARE, Deadly(), "f", budget=7, backend=backend, **HOW)
    too_far = [trial.number for trial in here.trials if float(trial.point["x"]) > 1]
    assert 0 < len(too_far) < 7
    assert [trial.number for trial in there.trials if not trial.complete] == too_far
    assert [trial.values for trial in there.complete] == [
        trial.values for trial in here.trials if trial.number not in too_far
    ]


def test_a_design_may_be_gone_on_with_on_another_backend(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    over = {"karma_mean": [1, 2, 3], "payment": ["pbp", "pbs"]}
    small = {"karma_max": 6, "karma_mean": 2, "n_agents": 10, "discount": 0.9}
    config = DesignConfig(game_config=small, over=over, method="random", workers=2, budget=2)
    whole = design_to_folder(config.replace(budget=3), tmp_path / "whole")
    for backend, budget in (("threads", 2), ("joblib", 3)):
        design_to_folder(config.replace(budget=budget), tmp_path / "parts", backend=backend)
    assert Plan.open(tmp_path / "parts").design == whole.design
    assert len(whole.design.complete) == 3


def test_inner_problems_can_be_sent_to_other_processes() -> None:
    small = karma_envs.make("matching", karma_max=6, karma_mean=2, n_agents=10, discount=0.9)
    few = karma_envs.make("spatial_congestion", n_agents=10)
    for inner in (
        EquilibriumInner(small, rationality=50, coalition=0.1),
        LearningInner(small, n_epochs=1),
        LearningInner(few, n_epochs=1),
        CrowdInner(learning="actor_critic"),
    ):
        sent: Inner = pickle.loads(pickle.dumps(inner))
        assert sent.to_plain() == inner.to_plain()


@dataclass
class Held(Bowl):
    """A bowl in which all trials but the first wait, until they are let go."""

    first: threading.Lock = field(default_factory=threading.Lock)
    let_go: threading.Event = field(default_factory=threading.Event)

    def evaluate(self, point: Point, *, seed: int, warm: Arrays | None) -> Evaluation:
        if not self.first.acquire(blocking=False):
            self.let_go.wait(60)
        return super().evaluate(point, seed=seed, warm=warm)


def test_ctrl_c_waits_for_nobody(tmp_path: Path) -> None:
    held = Held(noise=0.1)

    def press(result: Design) -> None:
        raise KeyboardInterrupt

    stopped = design(SQUARE, held, "f", budget=6, observer=press, storage=tmp_path, backend=in_threads, **HOW)
    assert not held.let_go.is_set()
    held.let_go.set()
    assert stopped.interrupted
    (kept,) = stopped.trials
    whole = design(SQUARE, Bowl(noise=0.1), "f", budget=6, storage=tmp_path, **HOW)
    assert kept in whole.trials
    assert whole.trials == design(SQUARE, Bowl(noise=0.1), "f", budget=6, **HOW).trials
