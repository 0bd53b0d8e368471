"""``NUMBA_DISABLE_JIT=1``: everything can be imported and played as Python, to the same bits."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import karma_envs
from agents.learners import TabularConfig, TabularLearner

SMALL: dict[str, dict[str, Any]] = {
    "matching": {"n_agents": 5, "karma_max": 4, "karma_mean": 2},
    "grid_city": {"n_agents": 5, "rows": 1, "columns": 2, "karma_max": 4, "karma_mean": 2},
}


def played_and_learned(name: str) -> str:
    """Digest of what is played and learned in 20 steps."""
    game = karma_envs.make(name, **SMALL[name])
    game.reset(np.random.default_rng(1))
    learner = TabularLearner(game, TabularConfig())
    digest = hashlib.sha256()
    for _ in range(2):
        played = game.rollout(learner.policy, 10)
        learner.update(played)
        for array in (played.observations, played.actions, played.rewards, learner.q):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


PROGRAM = """
import numpy as np
import karma_envs, agents, training.cli
from tests.numerics.test_without_numba import SMALL, played_and_learned

print(*map(played_and_learned, SMALL))
rule = lambda winner_bid, loser_bid, loser_karma, karma_max, parameters: (0, winner_bid)
game = karma_envs.make("matching", payment=rule, redistribution="none", n_agents=4)
game.reset(np.random.default_rng(0))
game.step(np.full(4, 3))
print(game.arrays.surplus[0])
"""


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="there is nothing to compare with")
def test_all_is_the_same_without_numba() -> None:
    environment = os.environ | {
        "NUMBA_DISABLE_JIT": "1",
        "PYTHONPATH": str(Path(karma_envs.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*map(played_and_learned, SMALL), "6"]
