"""Pages of theory, play and learning: that every game with a model has one, and what is on them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from karma_envs import make, names
from karma_envs.game import PopulationGame
from training.reproduction.experiment import Experiment, experiments, verdicts
from training.reproduction.ours import agreement
from training.runs.config import TrainConfig


def shortened(game: str, preset: str | None = None, **fields: Any) -> Experiment:
    """The experiment of a page, whose training is cut short."""
    (page,) = (each for each in agreement._PAGES if (each.game, each.preset) == (game, preset))
    return agreement._experiment(replace(page, **fields))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Policies are played for 200 steps, populations are led for 40, and runs are kept where nobody looks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(agreement._STEPS, "quick", 200)
    monkeypatch.setitem(agreement._LED_STEPS, "quick", 40)


def test_every_game_with_a_model_has_a_page() -> None:
    modelled = [name for name in names() if type(make(name)).mean_field is not PopulationGame.mean_field]
    assert len(modelled) >= 8
    for name in modelled:
        assert f"agreement-{name.replace('_', '-')}" in experiments()
    for page in agreement._PAGES:  # whose fields are those of the game, of its learner and of a run
        for fields in (page.training, {**page.training, **page.quick}):
            assert TrainConfig.from_flat(page.game, page.preset, fields).n_epochs >= 1


def test_selfish_agents_come_to_the_equilibrium() -> None:
    """Malware: of mean health z agents lose (.2 + z) z a step, and .5 in the share of steps that end a cycle.

    Between two repairs an agent is healthy, ill above 0 and below theta, and above: 2 - log(1 - theta) steps.
    """
    theta, health = 0.4851620, 0.3458542
    reward = -(0.2 + health) * health - 0.5 / (2 - math.log(1 - theta))
    page = shortened("malware")
    rows = [{**row, "seed": 0} for row in page.run("quick", 0)]
    assert [row["case"] for row in rows] == ["theory", "simulated", "learned"]
    assert rows[0]["reward"] == pytest.approx(reward, abs=1e-6)
    assert rows[0]["gain"] == pytest.approx(0.0, abs=1e-9)
    for row in rows:  # all rewards are negative: their size is the mean reward's
        assert row["off_theory"] == pytest.approx(1 - row["reward"] / reward, abs=1e-3)
    assert [verdict.agrees for verdict in verdicts(page, rows)] == [True, True, True]


def test_what_is_not_learned_does_not_agree() -> None:
    """Who repairs half of the time, at random, loses much: standard errors are below .001 of the size."""
    page = shortened("malware", training={"rationality": 1e-3}, quick={"n_steps": 1000})
    rows = [{**row, "seed": 0} for row in page.run("quick", 0)]
    assert [verdict.agrees for verdict in verdicts(page, rows)] == [True, False, False]
    assert rows[2]["off_theory"] < -0.05
    assert rows[2]["gain"] > 0.05


def test_who_is_led_gets_what_a_planner_promises(tmp_path: Path) -> None:
    """.1249 a step in the long run, from a population that begins where a step yields nothing."""
    page = shortened("two_state_control")
    rows = [{**row, "seed": 0} for row in page.run("quick", 0)]
    assert rows[0]["reward"] == pytest.approx(0.125, abs=2e-4)
    assert all(abs(row["off_theory"]) < 0.05 for row in rows)
    assert all(math.isnan(row["gain"]) for row in rows)
    assert {item.quantity for item in page.published} == {"off_theory"}
    (figure,) = (draw(rows) for draw in page.figures.values())
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 500
