"""Runs whose learner is not of the game's kind: in files, in flags, in sweeps, and from start to end."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from agents.learners.actor_critic import ActorCriticConfig
from agents.learners.tabular import TabularConfig
from agents.policies import GaussianPolicy
from karma_envs.config import ConfigError
from karma_envs.games.meeting_time import MeetingTimeGame
from karma_envs.timed import TimedGame
from tests.test_exchangeable import HerdGame
from training import Run, TrainConfig, train
from training.cli import main
from training.runs.evaluate import evaluate, tables
from training.runs.figures import figures
from training.sweeps.config import SweepConfig

HERD = "tests.test_exchangeable:HerdGame"
"""A game of boxes that is trained with tables unless told otherwise."""

needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="the networks are in PyTorch"
)


@pytest.mark.parametrize("learner", ["actor_critic", {"kind": "actor_critic"}])
def test_a_kind_is_chosen_by_name(learner: object) -> None:
    config = TrainConfig.from_flat(
        HERD, None, {"learner": learner}, {"actor_learning_rate": 0.02, "n_agents": 7}
    )
    assert config.learner == ActorCriticConfig(actor_learning_rate=0.02)
    assert config.game_config.n_agents == 7
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert isinstance(TrainConfig.from_flat(HERD, None).learner, TabularConfig)


def test_fields_are_those_of_the_kind() -> None:
    with pytest.raises(ConfigError, match="there is no field 'rationality'"):
        TrainConfig.from_flat(HERD, None, {"learner": "actor_critic", "rationality": 5})
    with pytest.raises(ConfigError, match="there is no field 'trace_decay'"):
        TrainConfig.from_flat(HERD, None, {"trace_decay": 0.5})
    with pytest.raises(ConfigError, match=r"^learner = 'oracle' .* allowed: actor_critic, tabular"):
        TrainConfig.from_flat(HERD, None, {"learner": "oracle"})


def test_flags_are_those_of_the_kind(capsys: pytest.CaptureFixture[str]) -> None:
    choose = ["show-config", HERD, "--learner", "actor_critic"]
    assert main([*choose, "--trace-decay", "0.5"]) == 0
    shown = capsys.readouterr().out
    assert "kind: actor_critic" in shown
    assert "trace_decay: 0.5" in shown
    assert main(["show-config", HERD, "--rationality", "5"]) == 0
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main([*choose, "--rationality", "5"])
    assert "unrecognized arguments: --rationality 5" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*choose, "--help"])
    told = capsys.readouterr().out
    assert "--trace-decay" in told
    assert "--rationality" not in told


def test_sweeps_are_over_fields_of_the_kind() -> None:
    base = {"learner": "actor_critic", "n_steps": 10, "epoch_length": 1}
    over = {"trace_decay": [0.0, 0.9]}
    sweep = SweepConfig.from_flat(HERD, None, base, over=over)
    assert [trial.config.learner.trace_decay for trial in sweep.trials()] == [0.0, 0.9]
    assert SweepConfig.from_dict(sweep.to_dict()) == sweep
    with pytest.raises(ConfigError, match="over = 'rationality'"):
        SweepConfig.from_flat(HERD, None, base, over={"rationality": [1, 2]})


@needs_torch
def test_a_run_is_evaluated_drawn_and_gone_on_with_to_the_bit(tmp_path: Path) -> None:
    config = TrainConfig(
        game="meeting_time",
        game_config={"n_agents": 20},
        learner=ActorCriticConfig(belief_exponent=0.85, device="cpu"),
        n_steps=40,
        epoch_length=4,
        checkpoint_seconds=0,
    )
    whole = train(config, tmp_path / "whole")
    assert isinstance(whole.policy, GaussianPolicy)
    game = whole.game()
    assert isinstance(game, MeetingTimeGame)
    assert game.belief_rate is None  # which is of training alone

    train(config.replace(n_steps=20), tmp_path / "half")
    resumed = train(config, tmp_path / "half", resume=True)
    observed = np.linspace(0.5, 1.5, 5, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(resumed.policy.mean(observed), whole.policy.mean(observed))

    names = [item.name for item in evaluate(whole, n_steps=100, burn_in=0)]
    assert names == ["learned", "equilibrium", "random", "punctual"]
    rows = tables(whole, n_steps=100)["policy-0"]
    assert len(rows) == 20
    assert {"observed_0", "taken_0", "reward"} <= rows[0].keys()
    assert "efficiency" in figures(Run.open(whole.folder))


def test_a_game_that_is_timed_is_played_so_by_whoever_plays_what_was_learned() -> None:
    config = TrainConfig(game=HerdGame, learner=ActorCriticConfig(belief_exponent=1.0))
    game, training = config.make_game(), config.make_training_game()
    assert isinstance(game, TimedGame)
    assert isinstance(training, TimedGame)
    assert game.game.belief_rate is None  # type: ignore[attr-defined]
    assert training.game.belief_rate == (1.0, 1.0)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["lq_regulator", "malware", "meeting_time", "spatial_congestion", "supply", "two_state_control"]
)
def test_a_plain_train_takes_minutes(name: str) -> None:
    """2e7 agent-steps are two minutes of actor and critic, the slowest, on one core."""
    config = TrainConfig.from_flat(name, None)
    assert config.n_steps * config.game_config.n_agents <= 2e7
