"""``module:name``: rules, networks and algorithms of the user's, from the working folder too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import karma_envs
from karma_envs.config import ConfigError
from karma_envs.plugins import import_named, require_own
from training import TrainConfig
from training.benchmark.algorithms import find
from training.cli import main

MINE = """\
from karma_envs.games.grid_city.network import grid, road_network

def half(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return 0, winner_bid // 2

def city(n_agents):
    return road_network(grid(1, 2), n_agents=n_agents)

class Trainers:
    @staticmethod
    def nothing(game, budget, seed):
        "Trains nothing."
"""


def test_rules_networks_and_algorithms_of_the_working_folder(working_folder: Path) -> None:
    (working_folder / "of_this_folder.py").write_text(MINE)
    game = karma_envs.make("matching", n_agents=4, payment="of_this_folder:half")
    assert game.config.rule("payment").function(7, 3, 0, 20, ()) == (0, 3)
    assert len(karma_envs.make("grid_city", n_agents=4, network="of_this_folder:city").network.lanes) == 14
    assert find("of_this_folder:Trainers.nothing").description == "Trains nothing."


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            "import no_such_module_of_mine",
            "broken.py, line 1: ModuleNotFoundError: No module named 'no_such_module_of_mine'",
        ),
        ("def half(:", "invalid syntax (broken.py, line 1)"),
        ("\n\n1 / 0", "broken.py, line 3: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit('bye')", "broken.py, line 2: SystemExit: bye"),
        ("whole = 3", "; module 'broken' has no attribute 'half'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(working_folder: Path, source: str, says: str) -> None:
    (working_folder / "broken.py").write_text(source)
    with pytest.raises(ConfigError, match=r"^payment = 'broken:half' is not allowed; allowed: ") as caught:
        karma_envs.make("matching", payment="broken:half")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_that_fails_is_one_line(working_folder: Path) -> None:
    """A network, and a set of its paths; refused by the game, before anything is written."""
    (working_folder / "fails.py").write_text(
        "def city(n):\n    return n.roads\ndef paths(city):\n    1 / 0\n"
    )
    with pytest.raises(
        ConfigError, match=r"^network = 'fails:city' .*; fails\.py, line 2: AttributeError: 'int'"
    ):
        karma_envs.make("grid_city", network="fails:city")
    with pytest.raises(
        ConfigError, match=r"^path_sets\[0\] = .*; fails\.py, line 4: ZeroDivisionError: division"
    ):
        karma_envs.make("grid_city", n_agents=4, rows=1, columns=2, path_sets=["fails:paths"])


@pytest.mark.parametrize("name", [":half", "colorsys:", ".relative:half", "a..b:c"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match=r"field = .*allowed: a function; "):
        import_named("field", name, "a function")


def test_this_package_is_the_one_that_runs(working_folder: Path) -> None:
    """Also where the working folder is a checkout of it, and another copy is installed."""
    (working_folder / "karma_envs").mkdir()
    (working_folder / "karma_envs" / "__init__.py").write_text("")
    name = "karma_envs.mechanisms.payment.pay_bid_to_society:pay"
    assert karma_envs.make("matching", n_agents=4, payment=name).config.payment == name


def test_a_module_is_not_taken_for_another_of_its_name(
    working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a file ``agents.py`` of the user's, or after a change of the working folder."""
    for folder in ("one", "other", "none"):
        (working_folder / folder).mkdir()
    for folder, amount in (("one", 1), ("other", 2)):
        (working_folder / folder / "twice.py").write_text(f"AMOUNT = {amount}")
    monkeypatch.chdir("one")
    assert import_named("field", "twice:AMOUNT", "a number") == 1
    monkeypatch.chdir("../none")
    assert import_named("field", "twice:AMOUNT", "a number") == 1
    monkeypatch.chdir("../other")
    with pytest.raises(ConfigError, match=r"other.twice\.py is not .*one.twice\.py, .*: rename yours"):
        import_named("field", "twice:AMOUNT", "a number")


STRANGERS = {  # where it lies, and what the command says
    "agents.py": "agents.py goes by the name of .*agents, a part of karma-envs: rename it, or work where",
    "training.py": "training.py goes by the name of .*training, a part of karma-envs: rename it",
    "agents/__init__.py": "agents/__init__.py goes by the name of",
}


@pytest.mark.parametrize("file", STRANGERS)
def test_a_stranger_by_the_name_of_a_part_of_ours_is_named(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("raise RuntimeError('a stranger was imported')")
    done = command_in(tmp_path, "-m", "karma_envs", "--help")
    assert done.returncode == 1
    assert re.fullmatch(f"karma-envs: {tmp_path}/{STRANGERS[file]}.*\n", done.stderr)


def test_a_script_beside_a_stranger(tmp_path: Path) -> None:
    (tmp_path / "agents.py").write_text("")
    (tmp_path / "main.py").write_text("import karma_envs\nprint(*karma_envs.names())\nimport training")
    done = command_in(tmp_path, "main.py")
    assert done.stdout.split() == [*karma_envs.names()]
    assert re.match(f"ImportError: {tmp_path}/{STRANGERS['agents.py']}", done.stderr.splitlines()[-1])


def test_an_overwritten_part_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by another distribution with a package of that name, installed into the same folder."""
    for package in ("karma_envs", "agents"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("'''Agents of another kind.'''")
    monkeypatch.setattr("karma_envs.plugins.__file__", str(tmp_path / "karma_envs" / "plugins.py"))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "agents", raising=False)
    with pytest.raises(
        ImportError, match="has been overwritten by another distribution with a package agents"
    ):
        require_own("agents")
    with pytest.raises(
        ImportError, match="no_such_part, a part of karma-envs, is missing: install karma-envs"
    ):
        require_own("no_such_part")


def command_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in a folder where strangers come before what is installed."""
    path = os.pathsep.join([str(folder), str(Path(karma_envs.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


OWN_GAME = '''\
"""Matching of mine."""
from karma_envs.games.matching import MatchingConfig, MatchingGame

class Game(MatchingGame):
    name = "mine"
    presets = {"few": {"n_agents": 4}}

class NoGame:
    pass
'''


def test_games_of_the_working_folder(working_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (working_folder / "own_games.py").write_text(OWN_GAME)
    assert karma_envs.make("own_games:Game", "few").n_agents == 4
    config = TrainConfig(game="own_games:Game", game_config={"n_agents": 6}, n_steps=1000)
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert main(["show-config", "own_games:Game", "--preset", "few", "--payment", "pbs"]) == 0
    assert "n_agents: 4\n" in capsys.readouterr().out
    brief = ["--preset", "few", "--n-steps", "100", "--epoch-length", "50", "--quiet", "--no-figures"]
    assert main(["train", "own_games:Game", *brief]) == 0
    assert (working_folder / "runs" / "own_games.Game-001" / "policy-0.npz").is_file()
    with pytest.raises(SystemExit):
        main(["train", "own_games:Game", "--help"])
    printed = capsys.readouterr().out
    assert "Matching of mine." in printed
    assert "--folder DIR" in printed


@pytest.mark.parametrize(
    "name", ["own_games:NoGame", "karma_envs.game:PopulationGame", "json:loads", "no_such:X"]
)
def test_what_is_no_game(name: str, working_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (working_folder / "own_games.py").write_text(OWN_GAME)
    with pytest.raises(
        ConfigError, match=f"^name = '{name}' is not allowed; allowed: .*matching.*module:Class"
    ):
        karma_envs.make(name)
    with pytest.raises(ConfigError, match=f"^game = '{name}' is not allowed"):
        TrainConfig(game=name)
    assert main(["train", name, "--n-agents", "4"]) == 1
    assert capsys.readouterr().err.startswith(f"karma-envs: game = '{name}' is not allowed")
