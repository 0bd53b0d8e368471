"""Policies of cells in files: what was learned in a tabulated game, as the game below plays it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import karma_envs
from agents import policies
from agents.policies.tabular import TabularPolicy
from karma_envs.tabulated import CellPolicy, tabulated


@pytest.mark.parametrize("name", ["meeting_time", "malware"])  # actions in a box, and numbered ones
def test_a_policy_of_cells_is_the_same_from_its_file(name: str, tmp_path: Path) -> None:
    game = karma_envs.make(name, n_agents=30)
    cells = tabulated(game, 7)
    rng = np.random.default_rng(0)
    table = rng.dirichlet(np.ones(cells.n_actions), (1, cells.n_observations))
    policy = cells.acting(TabularPolicy(table).fitted_to(cells))
    path = policy.save(tmp_path / "policy.npz")
    again = policies.load(path)
    assert isinstance(again, CellPolicy)
    space = game.observation_space
    observations = rng.uniform(space.low, space.high, (30, *space.shape)).astype(np.float32)
    for seed in range(5):
        streams = [np.full(1, seed, np.uint64) for _ in range(2)]
        np.testing.assert_array_equal(
            again.act(observations, streams[0]), policy.act(observations, streams[1])
        )
    expected = table[0] @ cells.action_features["taken"]
    np.testing.assert_allclose(again.table()["taken"], expected, atol=1e-3)
    np.testing.assert_allclose(again.table()["observed"], np.linspace(space.low[0], space.high[0], 7))


@pytest.mark.parametrize("damage", ["thresholds", "row_of_agent", "observed_low"])
def test_a_damaged_file_is_refused(damage: str) -> None:
    cells = tabulated(karma_envs.make("malware", n_agents=4), 5)
    arrays = cells.acting(cells.uniform_policy()).to_arrays()
    arrays[damage] = {
        "thresholds": arrays["thresholds"][:, :3],
        "row_of_agent": np.array([0, 7]),
        "observed_low": np.array([-np.inf], np.float32),
    }[damage]
    with pytest.raises(ValueError, match=r"rows|thresholds|cells|finite"):
        CellPolicy.from_arrays(arrays)
