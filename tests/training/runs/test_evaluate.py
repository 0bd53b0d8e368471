"""Evaluation: which rows in which order, over which steps, and with which errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from karma_envs import make, metrics
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError
from karma_envs.games.grid_city import GridCityGame
from karma_envs.karma.outcome import ACCESS_FAIRNESS, KARMA_METRICS
from karma_envs.outcome import Estimate, Outcome, summarise, total_outcome
from karma_envs.transitions import chunks
from tests.own_games import RoadsGame
from training import ResultsError, Run, TrainConfig, train
from training.evaluation.play import Summary, measure, over_seeds, play
from training.evaluation.references import reference_outcomes
from training.runs.evaluate import evaluate, tables

METRICS = tuple(metric.name for metric in KARMA_METRICS)


def summary(value: float, error: float = 0.5) -> Summary:
    return {name: Estimate(value, error) for name in METRICS}


def totals(outcome: Outcome) -> list[Any]:
    return [np.asarray(value).tolist() for value in vars(outcome).values()]


# --- playing ----------------------------------------------------------------------------------------


def test_the_burn_in_is_not_measured() -> None:
    game = make("matching", n_agents=20)
    policy = baseline_policy("proportional", game)
    stretches = play(game, policy, n_steps=103, burn_in=50, batches=10, seed=1)
    assert [stretch.steps for stretch in stretches] == [10, 11, 10, 10, 11, 10, 10, 10, 11, 10]
    after = game.outcome()
    assert after.steps == 153

    game.reset(np.random.default_rng(1))
    game.rollout(policy, 50)
    burnt = game.outcome()
    game.rollout(policy, 103)
    assert totals(game.outcome()) == totals(after)
    assert totals(total_outcome(stretches)) == totals(after.since(burnt))


def test_without_a_burn_in_everything_is_measured() -> None:
    game = make("matching", n_agents=20)
    stretches = play(game, baseline_policy("random", game), n_steps=100, burn_in=0, batches=4)
    assert [stretch.steps for stretch in stretches] == [25] * 4
    assert totals(total_outcome(stretches)) == totals(game.outcome())


def test_what_is_measured_does_not_depend_on_the_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    game = make("matching", n_agents=20)
    policy = baseline_policy("random", game)
    settings: dict[str, Any] = {"n_steps": 300, "burn_in": 70, "batches": 3}
    whole = play(game, policy, seed=[2, 0], **settings)
    other = play(game, policy, seed=[2, 1], **settings)

    def in_pieces_of_seven(*played: Any) -> None:
        for _, chunk in chunks(*played, most_bytes=8 * 20 * 7):
            assert len(chunk) <= 7

    monkeypatch.setattr(sys.modules[play.__module__], "play_on", in_pieces_of_seven)
    pieces = play(game, policy, seed=[2, 0], **settings)
    assert [totals(stretch) for stretch in pieces] == [totals(stretch) for stretch in whole]
    assert totals(other[0]) != totals(whole[0])


# --- over seeds -------------------------------------------------------------------------------------


def test_means_over_seeds_have_their_standard_error() -> None:
    """1, 2, 6: mean 3, standard deviation sqrt((4 + 1 + 9)/2), over sqrt(3)."""
    found = over_seeds([summary(1), summary(2), summary(6)])
    for name in METRICS:
        estimate = found[name]
        assert estimate.value == 3
        assert estimate.standard_error == pytest.approx(np.sqrt(7 / 3))


def test_one_seed_is_what_it_is() -> None:
    only = summary(1, error=0.25)
    assert over_seeds([only]) is only


# --- a run ------------------------------------------------------------------------------------------


def test_rows_come_in_order(finished_folder: Path) -> None:
    run = Run.open(finished_folder)
    found = evaluate(run, n_steps=100, burn_in=10)
    assert [item.name for item in found] == [
        "learned",
        "learned, exploring 0.05",
        "DICT",
        "COIN",
        "TURN",
        "random",
        "bid all",
        "bid nothing",
        "proportional",
    ]
    assert {(item.steps, item.seeds) for item in found} == {(100, 2)}
    row = found[0].to_row()
    assert [*row] == ["name", "steps", "seeds", *(key for name in METRICS for key in (name, f"{name}_se"))]
    assert row["efficiency"] == found[0].summary["efficiency"].value
    assert row["nash_welfare_se"] == found[0].summary["nash_welfare"].standard_error


def test_exploration_is_the_trainings_unless_told(finished_folder: Path) -> None:
    run = Run.open(finished_folder)
    names = [item.name for item in evaluate(run, n_steps=100, burn_in=0, exploration=0)]
    assert names[:2] == ["learned", "DICT"]
    half = evaluate(run, n_steps=100, burn_in=0, exploration=0.5)
    same = evaluate(run, n_steps=100, burn_in=0)
    assert half[1].name == "learned, exploring 0.5"
    assert half[0] == same[0]
    assert half[1].summary != same[1].summary


def test_the_numbers_are_those_of_the_replicas(finished_folder: Path) -> None:
    """Each replica's policy is played with a seed of its own; their mean is the row."""
    run = Run.open(finished_folder)
    game = make("matching", n_agents=20)
    by_hand = [
        measure(game, policy, n_steps=200, burn_in=20, seed=[7, number])
        for number, policy in enumerate(run.policies)
    ]
    learned = evaluate(run, n_steps=200, burn_in=20, seed=7)[0].summary
    assert learned == over_seeds(by_hand)
    assert by_hand[0]["efficiency"].value != by_hand[1]["efficiency"].value
    assert learned != evaluate(run, n_steps=200, burn_in=20, seed=8)[0].summary


def test_an_unfinished_run_is_refused(unfinished_folder: Path) -> None:
    with pytest.raises(ResultsError, match="has not finished"):
        evaluate(Run.open(unfinished_folder))


@pytest.mark.parametrize(
    "setting", [{"n_steps": 99}, {"burn_in": -1}, {"seed": -1}, {"seed": "one"}, {"exploration": 1.1}]
)
def test_settings_out_of_range_are_named(setting: dict[str, Any], finished_folder: Path) -> None:
    ((name, value),) = setting.items()
    with pytest.raises(ConfigError, match=f"{name} = {value!r} is not allowed"):
        evaluate(Run.open(finished_folder), **setting)


# --- references -------------------------------------------------------------------------------------


def test_a_game_without_references_is_compared_with_none() -> None:
    assert reference_outcomes(RoadsGame(), window=10) == {}


def test_references_come_to_the_known_outcomes() -> None:
    """DICT -1, COIN and TURN -1.5, N = 20 over 5000 steps, seed 1.

    A pair loses 1 or 5, 5 with probability 1/4 (DICT) or 1/2 (others): standard deviations 1.73 and 2
    per pair and step, so standard errors of 1.73/2/sqrt(50000) = .0039 and .0045; within 4 of them.
    Access is Binomial(5000, 1/2)/5000 for COIN: a standard deviation over agents of .0071, its own
    standard error for 20 agents .0011.
    """
    game = make("matching", n_agents=20)
    found: dict[str, Any] = reference_outcomes(game, window=5000)
    assert [*found] == ["DICT", "COIN", "TURN"]
    assert found["DICT"].efficiency == pytest.approx(-1.0, abs=4 * 0.0039)
    assert found["COIN"].efficiency == pytest.approx(-1.5, abs=4 * 0.0045)
    assert found["TURN"].efficiency == pytest.approx(-1.5, abs=4 * 0.0045)
    assert ACCESS_FAIRNESS.value(found["COIN"]) == pytest.approx(-0.0071, abs=4 * 0.0011)
    assert -0.0005 < ACCESS_FAIRNESS.value(found["TURN"]) <= 0
    assert {outcome.steps for outcome in found.values()} == {5000}


def test_the_metric_is_per_competing_agent() -> None:
    """With three agents one sits out: the mean loss of those who compete does not change."""
    game = make("matching", n_agents=3, karma_mean=10)
    stretches = play(game, baseline_policy("bid_nothing", game), n_steps=3000, burn_in=0, seed=3)
    whole = total_outcome(stretches)
    assert whole.contests.sum() == 2 * 3000
    # 3000 contests: 2/2/sqrt(3000) = .018; seed 3, within 4.
    assert metrics.efficiency(whole.rewards, whole.contests) == pytest.approx(-1.5, abs=4 * 0.018)
    measured = summarise(stretches, game.metrics)["efficiency"]
    assert measured.value == metrics.efficiency(whole.rewards, whole.contests)


def test_tables_of_agents_and_lanes_are_those_of_the_play(tmp_path: Path) -> None:
    config = TrainConfig.from_flat("grid_city", "small", {"n_steps": 200})
    run = train(config, tmp_path / "run")
    found = tables(run, n_steps=500, seed=4)
    game = GridCityGame(run.config.game_config)
    stretches = play(game, run.policy, n_steps=500, burn_in=0, seed=4)
    whole = total_outcome(stretches)
    np.testing.assert_allclose([row["reward"] for row in found["agents"]], whole.rewards / 500)
    assert {row["luck"] for row in found["agents"]} <= {"lucky", "average", "unlucky"}
    lanes = game.lane_outcome()
    assert [row["congestion"] for row in found["lanes"]] == pytest.approx(lanes.attempts / 500)
    assert (found["lanes"][0]["from"], found["lanes"][0]["to"]) == ("(-1, 0)", "(0, 0)")
    # Everybody who wants a lane enters it after so many steps of waiting, in the mean.
    entries = np.array([row["entries"] for row in found["lanes"]])
    waits = np.array([row["mean_wait"] for row in found["lanes"]])
    np.testing.assert_allclose(entries * (1 + waits), lanes.attempts / 500)


def test_tables_of_a_game_without_lanes(finished_folder: Path) -> None:
    found = tables(Run.open(finished_folder), n_steps=100)
    assert list(found) == ["agents", "policy-0", "policy-1"]
    assert len(found["agents"]) == 20
    assert sum(row["karma"] for row in found["agents"]) == 200


def test_the_efficiency_of_the_city_is_over_all_steps_the_dormant_included() -> None:
    game = GridCityGame(n_agents=100, rows=2, columns=2, dormant_probability=0.5)
    (outcome,) = play(game, baseline_policy("bid_nothing", game), n_steps=200, burn_in=0, batches=1, seed=2)
    assert outcome.contests.sum() < 200 * 100
    assert outcome.efficiency == pytest.approx(outcome.rewards.sum() / (200 * 100))
    assert summarise([outcome], game.metrics)["efficiency"].value == outcome.efficiency
