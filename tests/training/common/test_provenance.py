"""A run holds what it was made of: other contents of a name are refused, and no stranger's code runs."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents import TabularPolicy
from karma_envs import make
from karma_envs.config import Config
from karma_envs.files import read_npz, write_npz
from karma_envs.games.grid_city.town import NET_FILE
from karma_envs.games.matching import MatchingConfig
from training import ResultsError, Run, TrainConfig, train
from training.cli import main
from training.common import provenance
from training.common.config import to_yaml
from training.common.provenance import check_provenance, source_commit, version_changes
from training.common.trust import functions_named, resuming
from training.common.workers import Interrupted
from training.runs.evaluate import evaluate
from training.runs.folder import create_run, read_metadata, write_metadata
from training.solving.solution import Solution, SolveConfig, solve_to_folder
from training.sweeps.folder import Sweep
from training.sweeps.sweep import sweep
from training.theory.tools import Theory, TheoryConfig, theory_to_folder

Tiny = Callable[..., TrainConfig]

# --- networks by content ----------------------------------------------------------------------------


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with the town's files as those of a network of the user's."""
    folder = tmp_path / "here"
    folder.mkdir()
    for kind in ("net", "trips", "node"):
        shutil.copy(str(NET_FILE).replace("_net", f"_{kind}"), folder / f"mine_{kind}.tntp")
    monkeypatch.chdir(folder)
    return folder


def city(**changes: Any) -> TrainConfig:
    game = {"network": "mine_net.tntp", "n_agents": 20, "karma_max": 4, "karma_mean": 2}
    return TrainConfig("grid_city", game, n_steps=40, epoch_length=10, records=2, **changes)


@pytest.fixture
def city_run(town: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return train(city(), town / "run").folder


def widen(file: Path) -> None:
    """Another first road."""
    lines = file.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.strip()[:1].isdigit())
    numbers = lines[first].split("\t")
    lines[first] = "\t".join([*numbers[:3], "9999", *numbers[4:]])
    file.write_text("\n".join(lines) + "\n")


CHANGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "edited": (lambda folder: widen(folder / "mine_net.tntp"), "network mine_net.tntp has changed since"),
    "without trips": (
        lambda folder: (folder / "mine_trips.tntp").unlink(),
        "network mine_trips.tntp is gone",
    ),
    "gone": (
        lambda folder: (folder / "mine_net.tntp").unlink(),
        "network = 'mine_net.tntp' is not allowed; allowed: a file that is there",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_network_with_other_contents_is_refused_by_name(change: str, city_run: Path, town: Path) -> None:
    """By evaluation, figures, films and resuming, which leave everything as it was."""
    run = Run.open(city_run)
    assert set(read_metadata(city_run)["provenance"]) == {
        "network mine_net.tntp", "network mine_trips.tntp", "network mine_node.tntp",
    }  # fmt: skip
    alter, message = CHANGES[change]
    alter(town)
    kept = {path: path.read_bytes() for path in city_run.iterdir() if path.is_file()}
    for refused in (
        run.game,
        lambda: run.policies,
        lambda: evaluate(run),
        lambda: train(city(), city_run, resume=True),
    ):
        with pytest.raises(ResultsError, match=message) as caught:
            refused()
        assert str(city_run) in str(caught.value)
        assert "\n" not in str(caught.value)
    for command in (["evaluate"], ["plot"], ["animate", "--policy", "random"]):
        assert main([*command[:1], str(city_run), *command[1:]]) == 1
    assert {path: path.read_bytes() for path in city_run.iterdir() if path.is_file()} == kept


def test_a_network_of_the_same_name_in_another_folder_is_another(
    city_run: Path, town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = town.parent / "elsewhere"
    shutil.copytree(town, elsewhere, ignore=shutil.ignore_patterns("run"))
    monkeypatch.chdir(elsewhere)
    assert len(Run.open(city_run).policies) == 1  # the same contents
    widen(elsewhere / "mine_net.tntp")
    with pytest.raises(ResultsError, match=r"mine_net\.tntp has changed since"):
        _ = Run.open(city_run).policies


def test_trips_that_were_not_there_are_refused(town: Path) -> None:
    (town / "mine_trips.tntp").rename(town / "kept")
    run = train(city(), town / "run")
    (town / "kept").rename(town / "mine_trips.tntp")
    with pytest.raises(ResultsError, match=r"mine_trips\.tntp was not there then; restore what it was"):
        run.game()


def test_checkpoints_hold_it_too(city_run: Path, town: Path) -> None:
    """Where run.json is lost, resuming compares with the checkpoint."""
    metadata = json.loads(read_npz(city_run / "checkpoint-0.npz")["metadata"].tobytes())
    assert metadata["provenance"] == read_metadata(city_run)["provenance"]
    (city_run / "run.json").write_text("{")
    widen(town / "mine_net.tntp")
    with pytest.raises(ResultsError, match=r"checkpoint-0\.npz was made with other contents"):
        train(city(), city_run, resume=True)


def test_runs_of_earlier_versions_say_nothing_and_are_taken(city_run: Path, town: Path) -> None:
    known = read_metadata(city_run)
    del known["provenance"]
    (city_run / "run.json").write_text(json.dumps(known))
    path = city_run / "checkpoint-0.npz"
    arrays = read_npz(path)
    metadata = json.loads(arrays["metadata"].tobytes())
    del metadata["provenance"]
    metadata["config"] = to_yaml(city())  # as text
    arrays["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    np.savez(path, **arrays)
    (city_run / "digests.json").unlink()
    Run.open(city_run).policy.save(city_run / "policy-0.npz")  # which says not whose it is
    widen(town / "mine_net.tntp")
    assert len(evaluate(Run.open(city_run), n_steps=100)) > 3
    train(city(), city_run, resume=True)


# --- functions by their code ------------------------------------------------------------------------

RULE = """
def pay(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return 0, winner_bid
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of a user's, ``strange_rules``, that says when it is imported."""
    path = tmp_path / "modules" / "strange_rules.py"
    path.parent.mkdir()
    path.write_text(f"from pathlib import Path\nPath({str(tmp_path / 'imported')!r}).touch()\n" + RULE)
    monkeypatch.syspath_prepend(path.parent)
    yield tmp_path / "imported"
    sys.modules.pop("strange_rules", None)


def test_a_rule_with_other_code_is_refused_by_name(
    rules: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(game_config={"n_agents": 20, "payment": "strange_rules:pay"})
    run = create_run(config, tmp_path / "run")
    write_metadata(run, provenance=run.provenance())
    ((name, digest),) = run.provenance().items()
    assert name == "payment strange_rules:pay"
    assert digest.startswith("code:")
    source = tmp_path / "modules" / "strange_rules.py"

    def change(old: str, new: str) -> Run:
        """The run as another process finds it that has the changed module."""
        source.write_text(source.read_text().replace(old, new))
        del sys.modules["strange_rules"]
        importlib.invalidate_caches()
        return Run.open(run.folder, trust=True)

    assert change("def pay", "# a comment\ndef pay").provenance() == {name: digest}
    changed = change("return 0, winner_bid", "return 0, winner_bid // 2")
    for refused in (
        changed.game,
        lambda: train(changed.config, run.folder, resume=True),
    ):
        with pytest.raises(ResultsError, match="payment strange_rules:pay has changed since; restore what"):
            refused()
    versions = provenance.versions()
    for package in ("python", "numpy", "numba"):  # under another version a function has other code
        check_provenance(run.folder, {name: digest}, {**versions, package: "0.1"}, {name: "code:another"})


def test_a_rule_whose_code_cannot_be_told_is_not_compared(
    rules: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("karma_envs.karma.config.code_digest", lambda function: None)
    config = tiny(game_config={"n_agents": 20, "payment": "strange_rules:pay"})
    assert config.game_config.provenance() == {}
    assert MatchingConfig(payment="pbs", redistribution="tax(rate=0.1)").provenance() == {}
    assert Config().provenance() == {}


def test_a_game_of_ones_own_with_other_code_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "own_game_of_a_user.py"
    source.write_text("from karma_envs.games.matching import MatchingGame\nclass Game(MatchingGame): pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    config = TrainConfig("own_game_of_a_user:Game", {"n_agents": 20}, n_steps=100, epoch_length=50)
    run = create_run(config, None)
    assert run.folder == Path("runs/own_game_of_a_user.Game-001")
    assert list(run.provenance()) == ["game own_game_of_a_user:Game"]
    write_metadata(run, provenance=run.provenance())
    source.write_text(source.read_text() + "# or not\n")
    with pytest.raises(ResultsError, match="game own_game_of_a_user:Game has changed since"):
        run.game()
    del sys.modules["own_game_of_a_user"]


# --- strangers --------------------------------------------------------------------------------------


def as_a_strangers(path: Path) -> None:
    """Have a configuration name a module that must not be imported."""
    text = path.read_text().replace("payment: pay_bid_to_peer", "payment: strange_rules:pay")
    assert "strange_rules" in text
    path.write_text(text)
    (path.parent / "digests.json").unlink()


def folders_of_all_kinds(tmp_path: Path, run: Path) -> dict[str, Path]:
    base = TrainConfig("matching", {"n_agents": 20}, n_steps=100, epoch_length=50)
    game = {"karma_max": 4, "karma_mean": 2}
    return {
        "run": shutil.copytree(run, tmp_path / "run"),
        "sweep": sweep(base, {"seed": [1, 2]}, tmp_path / "sweep").folder,
        "solution": solve_to_folder(SolveConfig("matching", game), tmp_path / "solution")[0].folder,
        "theory": theory_to_folder(
            TheoryConfig("matching", game, tools=("lipschitz",)), tmp_path / "theory"
        ).folder,
    }


def test_a_strangers_folder_runs_no_code(
    rules: Path, tmp_path: Path, finished_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = folders_of_all_kinds(tmp_path, finished_folder)
    for kind, folder in folders.items():
        as_a_strangers(folder / ("sweep.yaml" if kind == "sweep" else "config.yaml"))
    opens: dict[str, Callable[..., Any]] = {
        "run": Run.open, "sweep": Sweep.open, "solution": Solution.open, "theory": Theory.open,
    }  # fmt: skip
    for kind, folder in folders.items():
        with pytest.raises(ResultsError, match=r"names code to be run: 'strange_rules:pay'; .* --trust"):
            opens[kind](folder)
    for command in (
        ["plot", str(folders["run"])], ["plot", str(folders["solution"])], ["plot", str(folders["theory"])],
        ["evaluate", str(folders["run"])], ["animate", str(folders["run"])],
        ["train", "matching", "--resume", str(folders["run"])], ["sweep", "--resume", str(folders["sweep"])],
    ):  # fmt: skip
        assert main(command) == 1
        error = capsys.readouterr().err
        assert "names code to be run: 'strange_rules:pay'; if you trust whoever made it" in error
    assert not rules.exists()
    for kind, folder in folders.items():
        assert opens[kind](folder, trust=True).config is not None
    assert rules.exists()


def test_a_strangers_game_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("game: strange_games:Game\n")
    with pytest.raises(ResultsError, match=r"names code to be run: 'strange_games:Game'"):
        Run.open(tmp_path)


def test_how_to_go_on_trusts_what_the_user_named(rules: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    config = TrainConfig(
        "matching", {"n_agents": 20, "payment": "strange_rules:pay"}, n_steps=100, epoch_length=50
    )
    with pytest.raises(Interrupted, match=r"go on with: karma-envs train matching --resume .*run --trust$"):
        train(config, tmp_path / "run", stop=stop)
    values = {"base": config.to_dict(), "over": {"seed": [1, 2]}}
    assert resuming("sweep", Path("s"), values) == "go on with: karma-envs sweep --resume s --trust"
    assert main(["train", "matching", "--resume", str(tmp_path / "run"), "--trust", "--quiet"]) == 0


def test_a_checkpoint_cannot_name_code_that_the_run_does_not(
    rules: Path, tmp_path: Path, unfinished_folder: Path
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    path = folder / "checkpoint-0.npz"
    arrays = read_npz(path)
    metadata = json.loads(arrays["metadata"].tobytes())
    metadata["config"]["game_config"]["payment"] = "strange_rules:pay"
    arrays["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    write_npz(path, arrays)
    with pytest.raises(ResultsError, match="is the checkpoint of another run"):
        train(Run.open(folder).config, folder, resume=True)
    assert not rules.exists()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"game": "grid_city", "game_config": {"network": "C:\\a\\mine_net.tntp"}}, []),
        ({"game": "grid_city", "game_config": {"network": "a:b.graphml"}}, []),
        ({"game": "grid_city", "game_config": {"network": "evil:go"}}, ["evil:go"]),
        (
            {"game": "grid_city", "game_config": {"path_sets": ["all", "evil:x_net.tntp"]}},
            ["evil:x_net.tntp"],
        ),
        ({"game_config": {"payment": "evil:go(rate=1)"}}, ["evil:go(rate=1)"]),
        ({"game_config": {"payment": "karma_envs.mechanisms.payment.second_price:second_price"}}, []),
        ({"game_config": {"payment": "karma_envs.files:os.abort"}}, ["karma_envs.files:os.abort"]),
        ({"game_config": {"payment": "karma_envs:evil"}}, ["karma_envs:evil"]),
        ({"game": "evil:Game"}, ["evil:Game"]),
        ({"game": ["evil:Game"]}, ["evil:Game"]),
        ({"base": {"game": "matching"}, "over": {"payment": ["pbp", "evil:go"]}}, ["evil:go"]),
        ({"base": {"game": "grid_city"}, "over": {"network": ["a:b_net.tntp", "evil:go"]}}, ["evil:go"]),
        ({"learner": {"algorithm": "evil:go"}, "seed": 3, "monitor": None}, ["evil:go"]),
        ({"game_config": [["evil:go"]]}, ["evil:go"]),
    ],
)
def test_the_names_in_a_configuration_that_would_be_imported(
    values: dict[str, Any], expected: list[str]
) -> None:
    assert functions_named(values) == expected


# --- versions and commits ---------------------------------------------------------------------------


def test_other_versions_are_told_in_a_line_and_go_on(
    tmp_path: Path, unfinished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    config = Run.open(folder).config
    assert version_changes(provenance.versions()) == ""
    assert version_changes(None) == ""
    real = provenance._version
    monkeypatch.setattr(provenance, "_version", lambda name: "9.9" if name == "numpy" else real(name))
    with pytest.warns(UserWarning, match="was begun with") as caught:
        train(config, folder, resume=True)
    (warning,) = caught
    assert str(warning.message) == (
        f"{folder} was begun with numpy {np.__version__} (now 9.9); its numbers may differ in the last "
        "digits from those of a run without the change"
    )
    assert warning.filename == __file__
    assert read_metadata(folder)["versions"]["numpy"] == "9.9"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_the_commit_is_of_the_packages_own_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of a repository of the user's below which it is installed, nor of one that git is at work in."""
    own, users = tmp_path / "own", tmp_path / "users"
    for root in (own, users / "site"):
        (root / "training").mkdir(parents=True)
        (root / "training" / "provenance.py").touch()
    (users / "theirs.py").touch()
    for root in (own, users):
        git(root, "init", "--quiet")
        git(root, "add", "theirs.py" if root is users else ".")
        git(root, "commit", "--quiet", "-m", "first")
    monkeypatch.setenv("GIT_DIR", str(users / ".git"))  # as in a hook of the user's

    def commit_of(root: Path) -> str | None:
        monkeypatch.setattr(provenance, "_ROOT", root)
        monkeypatch.setattr(provenance, "__file__", str(root / "training" / "provenance.py"))
        source_commit.cache_clear()
        return source_commit()

    try:
        head = subprocess.run(
            ["git", f"--git-dir={own / '.git'}", "rev-parse", "HEAD"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        assert commit_of(own) == head
        assert commit_of(users / "site") is None
        monkeypatch.delenv("GIT_DIR")
        git(users, "add", ".")
        git(users, "commit", "--quiet", "-m", "with what is installed")
        assert commit_of(users / "site") is None
        (own / "training" / "other.py").touch()
        monkeypatch.setattr(provenance, "__file__", str(own / "training" / "other.py"))
        source_commit.cache_clear()
        monkeypatch.setattr(provenance, "_ROOT", own)
        assert source_commit() is None
    finally:
        source_commit.cache_clear()


# --- policies ---------------------------------------------------------------------------------------


def test_the_policy_of_another_run_or_shape_is_refused(
    tiny: Tiny, tmp_path: Path, finished_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    other = train(tiny(seed=4, replicas=2), tmp_path / "other")
    game = make("matching", n_agents=20)
    illegal = np.zeros((1, game.n_observations, game.n_actions))
    illegal[..., -1] = 1
    cases: dict[str, Callable[[Path], Any]] = {
        "is the policy of another run": lambda path: shutil.copy(other.policy_path(1), path),
        "the policy of another run": lambda path: shutil.copy(finished_folder / "policy-0.npz", path),
        "the policy names rows for 1 agents; the game has 20": lambda path: TabularPolicy(illegal).save(path),
        "it has 1 actions; the game has 21": lambda path: TabularPolicy(np.ones((20, 3, 1)) / 1).save(path),
        "where it is illegal": lambda path: TabularPolicy(illegal, np.zeros(20, int)).save(path),
        "is not a policy of karma-envs": lambda path: np.savez(path, weights=np.zeros(3)),
        "is damaged or not an npz file": lambda path: path.write_bytes(b"PK"),
    }
    for message, replace in cases.items():
        replace(folder / "policy-1.npz")
        for command in ("evaluate", "plot"):
            assert main([command, str(folder)]) == 1
            error = capsys.readouterr().err
            assert message in error
            assert str(folder / "policy-1.npz") in error
            assert error.count("\n") == 1
    for name in ("policy-0.npz", "policy-1.npz"):
        shutil.copy(other.policy_path(int(name[7])), folder / name)
    assert main(["animate", str(folder)]) == 1
    assert "is the policy of another run" in capsys.readouterr().err
