"""Which trials a sweep has, and that each is the run that train makes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from karma_envs.config import ConfigError
from karma_envs.mechanisms import resolve
from karma_envs.outcome import as_columns
from tests.training.sweeps.trials import RATES, Tiny
from training import Run, train
from training.common.config import to_yaml
from training.runs.evaluate import evaluate
from training.sweeps.command import _field_and_values
from training.sweeps.config import SweepConfig
from training.sweeps.sweep import Progress, sweep


def test_every_combination_is_a_trial_and_the_last_field_varies_fastest(tiny: Tiny) -> None:
    over = {"karma_mean": np.array([5, 7]), "learning_rate": (0.1, 0.2), "seed": range(2)}
    trials = SweepConfig(tiny(), over).trials()
    assert [tuple(trial.values.values()) for trial in trials] == [
        (5, 0.1, 0), (5, 0.1, 1), (5, 0.2, 0), (5, 0.2, 1),
        (7, 0.1, 0), (7, 0.1, 1), (7, 0.2, 0), (7, 0.2, 1),
    ]  # fmt: skip
    assert [trial.name for trial in trials] == [f"trial-00{number}" for number in range(8)]
    assert trials[5].config == tiny(
        game_config={"n_agents": 20, "karma_mean": 7},
        learner={"initial_q": -50, "learning_rate": 0.1},
        seed=1,
    )


def test_a_rule_of_the_users_is_swept_by_its_name(tiny: Tiny) -> None:
    rule = resolve("payment", "pbs").function
    config = SweepConfig(tiny(), {"payment": ["pbp", rule]})
    name = config.over["payment"][1]
    assert re.fullmatch(r"karma_envs\.mechanisms\.payment\.\w+:\w+", name)
    assert config.trials()[1].config.game_config.payment == name
    assert SweepConfig.from_dict(yaml.safe_load(to_yaml(config))) == config


def test_only_together_need_the_fields_be_allowed() -> None:
    """A mean of 30 is above the default maximum of 20, but not above those that are swept."""
    over = {"karma_max": [60, 80]}
    config = SweepConfig.from_flat("matching", None, {"karma_mean": 30}, over=over)
    assert [trial.config.game_config.karma_max for trial in config.trials()] == [60, 80]
    with pytest.raises(ConfigError, match=r"trial 0 \(karma_max=25\): karma_mean = 30 is not allowed"):
        SweepConfig.from_flat("matching", None, {"karma_mean": 30}, over={"karma_max": [25, 60]})


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({}, "over = {} is not allowed; allowed: a mapping of at least one field"),
        ({"karma_meen": [5]}, r"over = 'karma_meen' is not allowed; .*\(did you mean karma_mean\?\)"),
        ({"learner": [{"algorithm": "sarsa"}]}, "over = 'learner' is not allowed"),
        ({"game": ["matching"]}, "over = 'game' is not allowed"),
        ({"karma_mean": []}, r"over karma_mean = \[\] is not allowed; allowed: a list of at least one value"),
        ({"payment": "pbp"}, "over payment = 'pbp' is not allowed; allowed: a list"),
        ({"karma_mean": 5}, "over karma_mean = 5 is not allowed; allowed: a list"),
        (
            {"karma_mean": [5, 30], "payment": ["pbp", "pbs"]},
            r"trial 2 \(karma_mean=30, payment=pbp\): karma_mean = 30 is not allowed",
        ),
        ({"epoch_length": [50, 60]}, r"trial 1 \(epoch_length=60\): n_steps = 400 is not allowed"),
        ({"urgencies": [[1, 5], [1, -1]]}, r"trial 1 \(urgencies=\[1, -1\]\): urgencies"),
        ({"karma_mean": [5, 5.0]}, r"trials 0 \(karma_mean=5\) and 1 \(karma_mean=5.0\) are equal"),
        ({"payment": ["pbp", "pay_bid_to_peer"]}, "trials 0 .* and 1 .* are equal"),
        (
            {"allocation": ["coin", "highest_bid"], "monitor": ["none", "exact"]},
            r"trial 1 \(allocation=coin, monitor=exact\): game = ",
        ),
    ],
)
def test_a_mistake_is_found_before_any_work(over: Any, message: str, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        sweep(tiny(), over, tmp_path / "sweep")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("karma_mean=5,7,9", [5, 7, 9]),
        ("karma_mean=5", [5]),
        ("karma_mean=[5, 7]", [5, 7]),
        ("n-steps=1e5,2e5", [100_000, 200_000]),
        ("payment=pbp,pbs", ["pbp", "pbs"]),
        ("redistribution='tax(a=1, b=2)',none", ["tax(a=1, b=2)", "none"]),
        ("redistribution=tax(rate=0.1)", ["tax(rate=0.1)"]),
        ("urgencies=[1,5],[1,9]", [[1, 5], [1, 9]]),
        ("urgencies=[[1,5]]", [[1, 5]]),
        ("learning_rate_final=null,.1", [None, 0.1]),
        ("karma_mean=", []),
    ],
)
def test_values_on_the_command_line(text: str, expected: list[Any]) -> None:
    assert _field_and_values(text) == (text.partition("=")[0].replace("-", "_"), expected)


# --- what a sweep leaves ----------------------------------------------------------------------------


def test_a_trial_is_the_run_that_train_makes(tiny: Tiny, tmp_path: Path) -> None:
    """And its row is of that run: the last of its four records, and its evaluation, over two replicas."""
    base = tiny(replicas=2)
    found = sweep(base, {"payment": ["pbs"], "seed": [3, 4]}, tmp_path / "sweep", jobs=2)
    assert found.failed == ()
    assert [row["seed"] for row in found.rows] == [3, 4]
    run = train(base.replace(game_config={"n_agents": 20, "payment": "pbs"}, seed=4), tmp_path / "run")
    trial = Run.open(tmp_path / "sweep" / "trial-001")
    assert trial.config == run.config
    assert (trial.folder / "metrics.csv").read_bytes() == (run.folder / "metrics.csv").read_bytes()
    row, last = found.rows[1], [each for each in run.metrics if each["step"] == 400]
    assert len(last) == 2
    assert row["train_efficiency"] == pytest.approx(sum(each["efficiency"] for each in last) / 2)
    assert row["train_karma_gini"] == pytest.approx(sum(each["karma_gini"] for each in last) / 2)
    learned = as_columns(evaluate(run)[0].summary)
    assert {name: row[name] for name in learned} == learned
    assert row["status"] == "finished"
    assert row["seconds"] > 0
    assert row["error"] is None


def test_the_observer_hears_of_every_trial(tiny: Tiny, tmp_path: Path) -> None:
    seen: list[Progress] = []
    sweep(tiny(), {"learning_rate": RATES}, tmp_path / "sweep", jobs=1, observer=seen.append)
    assert [(each.trials, each.ended, each.running) for each in seen] == [
        (3, 0, 1), (3, 1, 0), (3, 2, 0), (3, 3, 0),
    ]  # fmt: skip
    assert [each.last["trial"] for each in seen if each.last] == [0, 1, 2]
