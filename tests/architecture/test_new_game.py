"""A game is a folder: put into ``games`` it has a name, environments and all commands; no file changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import karma_envs

ROOT = Path(karma_envs.__file__).parents[1]
STRANGER = Path(__file__).parents[1] / "strangers" / "ferry"

ASKED = """
import gymnasium
import karma_envs
from karma_envs.checks import check_game, check_parallel_env

assert "ferry" in karma_envs.names(), karma_envs.names()
game = karma_envs.make("ferry", "calm", n_agents=5)
assert type(game).__module__ == "karma_envs.games.ferry"
check_game(game)
check_parallel_env(karma_envs.ferry_v0.parallel_env(n_agents=5, max_cycles=20))
assert gymnasium.make("karma_envs/Ferry-v0", render_mode="rgb_array").unwrapped.game.name == "ferry"
"""


def test_a_folder_in_games_is_a_game(tmp_path: Path) -> None:
    """In a copy of the packages, as another checkout, or an installed package, would be."""
    for package in ("karma_envs", "agents", "training"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(STRANGER, tmp_path / "karma_envs" / "games" / "ferry")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-c", ASKED)
    command = "-m", "training.cli"
    assert "ferry" in run(*command, "list")
    sizes = "--n-steps", "200", "--epoch-length", "50", "--quiet", "--no-figures", "--folder", "run"
    assert "impatient" in run(*command, "train", "ferry", *sizes)
