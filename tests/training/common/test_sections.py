"""The fields of a game, its learner and a run side by side, and what happens where two have one name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from karma_envs import games
from karma_envs.config import ConfigError
from karma_envs.registry import game_class
from training import TrainConfig
from training.cli import main
from training.solving.solution import SolveConfig
from training.sweeps.config import SweepConfig

CLASHING = '''"""A game whose configuration has a seed."""
from dataclasses import dataclass
from karma_envs.games.matching import MatchingConfig, MatchingGame

@dataclass(frozen=True)
class SeededConfig(MatchingConfig):
    seed: int = 0

class SeededGame(MatchingGame):
    name, config_class = "seeded", SeededConfig

GAME = SeededGame
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of games besides the package's own."""
    monkeypatch.setattr(games, "__path__", [*games.__path__, str(tmp_path)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("karma_envs.games."):
            del sys.modules[name]


def test_every_field_has_one_owner() -> None:
    owners = TrainConfig.owners(game_class("matching"))
    assert {owners[name] for name in ("karma_max", "exploration", "seed")} == {"game_config", "learner", ""}
    sections = TrainConfig.sections(game_class("matching"))
    assert [str(section) for section in sections.values()] == [
        "the game (MatchingConfig)", "the learner (TabularConfig)", "the run (TrainConfig)",
    ]  # fmt: skip


def test_a_clash_is_of_its_game_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All else goes on working, and what says the section, or has no other field of the name."""
    (folder / "seeded.py").write_text(CLASHING)
    says = (
        "karma_envs.games.seeded:SeededGame cannot be used here: 'seed' is a field of the game "
        "(SeededConfig) and of the run (TrainConfig); rename it in the game"
    )
    for command in (["train", "seeded"], ["show-config", "seeded"], ["train", "seeded", "--help"]):
        assert main(command) == 1
        assert capsys.readouterr().err == f"karma-envs: {says}\n"
    with pytest.raises(ConfigError, match="'seed' is a field of the game"):
        SweepConfig.from_flat("seeded", None, over={"seed": [1]})
    nested = TrainConfig("seeded", {"seed": 1}, seed=2)
    assert (nested.game_config.seed, nested.seed) == (1, 2)
    assert TrainConfig.from_dict(nested.to_dict()) == nested
    assert SolveConfig.from_flat("seeded", None, {"seed": 1}).game_config.seed == 1
    for command in (["list"], ["show-config", "matching"]):
        assert main(command) == 0
    with pytest.raises(SystemExit) as ended:
        main(["train", "--help"])
    assert ended.value.code == 0
    assert "A game whose configuration has a seed." in capsys.readouterr().out


def test_no_game_is_imported_but_the_one_that_is_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "unfinished.py").write_text("raise RuntimeError('imported')\n")
    assert main(["show-config", "matching"]) == 0
    with pytest.raises(SystemExit) as ended:
        main(["train", "matching", "--help"])
    assert ended.value.code == 0
    assert "the learner:" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="imported"):
        main(["show-config", "unfinished"])
