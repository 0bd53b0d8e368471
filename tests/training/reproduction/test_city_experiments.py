"""The city's figures and tables, made with a training too short to learn anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from training.common.tables import Row
from training.reproduction import shared_runs as kept
from training.reproduction.experiment import Experiment, experiments
from training.reproduction.ours import city_mechanisms
from training.reproduction.thesis import city_training as city

SEED = 3


@pytest.fixture(scope="module", autouse=True)
def _short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs of 500 steps in a folder of their own, and 1000 steps of play."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "FOLDER", tmp_path_factory.mktemp("reproductions"))
        patch.setattr(city, "PLAYED", 1000)
        for lengths in (city.N_STEPS, city.SHORT, city_mechanisms._ROUTES_ONLY):
            patch.setitem(lengths, "quick", 500)
        city.learned_play.cache_clear()
        yield
        city.learned_play.cache_clear()


def rows_of(name: str) -> tuple[Experiment, list[Row]]:
    found = experiments()[name]
    return found, [{"seed": SEED, **row} for row in found.run("quick", SEED)]


def summary(rows: list[Row], case: str) -> Row:
    (row,) = [row for row in rows if row["case"] == case and row["point"] < 0]
    return row


@pytest.mark.parametrize(
    "name",
    ["fig-6-3", "fig-6-4", "fig-6-5", "fig-6-6", "fig-6-7", "fig-6-8", "table-6-3", "table-a-4"],
)
def test_rows_and_figures_are_made(name: str, tmp_path: Path) -> None:
    found, rows = rows_of(name)
    assert len({tuple(row) for row in rows}) == 1  # as a table needs
    assert any(row["point"] < 0 for row in rows)
    for title, draw in found.figures.items():
        draw(rows).savefig(tmp_path / f"{title}.png")
        assert (tmp_path / f"{title}.png").stat().st_size > 5000
    published = {(item.case, item.quantity) for item in found.published}
    assert all(np.isfinite(summary(rows, case)[quantity]) for case, quantity in published)


def test_entries_and_exits_are_least_loaded_and_the_map_is_symmetric() -> None:
    """Simulated with room for all: 1000 agents, 1000 steps; the drawn paths differ from all paths by 4 %."""
    _, rows = rows_of("fig-6-3")
    sides, corners, inner = (
        summary(rows, kind)
        for kind in ("entries and exits at sides", "entries and exits at corners", "inner lanes")
    )
    assert (sides["lanes"], corners["lanes"], inner["lanes"]) == (16, 16, 48)
    assert sides["greatest"] < corners["least"] < inner["least"]
    assert sides["share_above_capacity"] == 0
    assert inner["share_above_capacity"] == 1
    for kind in (sides, corners, inner):
        assert kind["simulated_mean"] == pytest.approx(kind["mean"], rel=0.12)


def test_lucky_and_unlucky_agents_are_everybody_once() -> None:
    _, rows = rows_of("table-a-4")
    groups = [summary(rows, f"all {kind} agents") for kind in ("lucky", "average", "unlucky")]
    assert sum(group["agents"] for group in groups) == 1000
    assert groups[0]["wait_path_2"] < groups[2]["wait_path_1"]
    assert groups[0]["reward"] > groups[1]["reward"] > groups[2]["reward"]
    play = city.learned_play("quick", SEED)
    everyone = np.arange(1000)
    assert play.visits.sum() == 1000 * 1000
    under_way = play.game.urgency_of_observation >= 0
    assert play.mean_bid(everyone, under_way) == pytest.approx(
        play.lanes.bids.sum() / play.lanes.attempts.sum()
    )


@pytest.mark.nightly
def test_the_comparisons_train_every_case() -> None:
    """With 500 steps no policy is better than another; with a choice of routes all lanes are less full."""
    _, rows = rows_of("city-mechanisms")
    assert {row["case"] for row in rows} >= {"fixed paths", "route choice", "redistribution by lane"}
    assert summary(rows, "DICT, fixed paths")["efficiency"] == pytest.approx(-0.42, abs=0.03)
    assert summary(rows, "COIN, fixed paths")["efficiency"] == pytest.approx(-1.23, abs=0.06)
    _, rows = rows_of("city-learning")
    learned = [row for row in rows if row["point"] < 0]
    assert len(learned) == 10
    assert all(-1.6 < row["efficiency"] < -0.6 for row in learned)
