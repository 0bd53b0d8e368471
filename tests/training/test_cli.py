"""The karma-envs command: what it prints and leaves, and one clear line for every mistake."""

from __future__ import annotations

import csv
import dataclasses
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.learners import TabularConfig
from karma_envs import __version__
from karma_envs.games.matching import PRESETS, MatchingConfig
from training import Run, TrainConfig
from training.cli import main
from training.common.config import load_layer, to_yaml

TINY = [
    "--n-agents",
    "20",
    "--n-steps",
    "400",
    "--epoch-length",
    "50",
    "--records",
    "4",
    "--initial-q",
    "-50",
]
FIGURES = {
    "access_fairness", "efficiency", "karma_distribution", "mean_bid", "policy_change", "reward_fairness",
}  # fmt: skip


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail with status 1; gives its one line on standard error."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        assert main(arguments) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("karma-envs: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        return err

    return run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """A command whose arguments are not understood: status 2; gives the line after the usage."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[-1]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "matching  The benchmark karma game: random pairs compete for a resource by bidding karma." in (
        lines
    )
    assert f"  presets: {', '.join(PRESETS)}" in lines
    start = {line.partition(":")[0]: line for line in lines}
    assert "benevolent_dictator (dict)" in start["allocation"]
    assert "pay_bid_to_peer (pbp)" in start["payment"]
    assert "tax" in start["redistribution"]
    assert start["algorithms"] == "algorithms: expected_sarsa, q_learning, sarsa"
    assert start["groupings"] == "groupings: independent, per_type, pooled"
    assert "  baselines: random, bid_all, bid_nothing, proportional" in lines


def test_show_config_prints_what_train_would_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("payment: pbp\nseed: 7\nn_steps: 1e6\n")
    arguments = [
        "show-config", "matching", "--preset", "social-outcome-pbs", "--config", str(file),
        "--n-steps", "3.2e7", "--urgencies", "1,9", "--urgency-transition", "0.75,0.25",
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    file.write_text(printed)
    config = TrainConfig.from_dict(load_layer(file))
    assert config == TrainConfig(
        game_config={"n_agents": 200, "urgencies": (1, 9), "urgency_transition": (0.75, 0.25)},
        n_steps=32_000_000,
        seed=7,
    )
    for named in (["matching", "--config", str(file)], [str(file)]):  # which says game: matching
        assert main(["show-config", *named]) == 0
        assert capsys.readouterr().out == printed


def test_a_file_stands_for_the_game_that_it_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For every command that takes a game, with flags and in JSON, which is YAML, too."""
    (tmp_path / "mine.yaml").write_text('{"game": "matching", "karma_max": 4, "karma_mean": 2}')
    file, folder = str(tmp_path / "mine.yaml"), str(tmp_path / "solved")
    assert main(["solve", file, "--discount", "0.5", "--folder", folder, "--quiet", "--no-figures"]) == 0
    fields = load_layer(tmp_path / "solved" / "config.yaml")["game_config"]
    assert (fields["karma_max"], fields["discount"]) == (4, 0.5)
    capsys.readouterr()
    for command in ("train", "solve", "sweep", "design", "theory", "show-config"):
        assert main([command, file, "--config", file]) == 1
        assert "stands for --config; leave out one of them" in capsys.readouterr().err


def test_types_are_written_as_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    types = "[{share: 1, discount: 0.7}, {share: 1, discount: 0.9}]"
    assert main(["show-config", "matching", "--types", types, "--initial-q", "-50"]) == 0
    printed = capsys.readouterr().out
    assert "discount: 0.7" in printed
    assert "initial_q: -50.0" in printed


def flags_in_help(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, str]:
    """Each flag and what its help says, on one line."""
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    blocks = re.split(r"\n  (?=--)|\n\n", capsys.readouterr().out)
    return {block.split()[0]: " ".join(block.split()) for block in blocks if block.startswith("--")}


@pytest.mark.parametrize("command", ["train", "show-config"])
def test_help_lists_every_field_with_its_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = flags_in_help(capsys, command, "matching")
    shown_as = {None: "none", (): "[]", (1.0, 5.0): "1.0,5.0"}
    for config_class in (MatchingConfig, TabularConfig, TrainConfig):
        for field in dataclasses.fields(config_class):
            if field.name in ("game", "game_config", "learner"):
                continue
            flag, default = "--" + field.name.replace("_", "-"), shown_as.get(field.default, field.default)
            shown = re.escape(f"(default {default})")
            assert re.fullmatch(rf"{flag} VALUE \w.{{5,}} {shown}", flags[flag])
    of_a_run = ("--folder", "--resume", "--quiet", "--no-figures") if command == "train" else ()
    for flag in ("--preset", "--config", *of_a_run):
        assert flag in flags
    assert all(preset in flags["--preset"] for preset in PRESETS)


@pytest.mark.parametrize("command", ["evaluate", "plot"])
def test_help_of_the_other_commands_shows_defaults(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = flags_in_help(capsys, command)
    assert flags
    assert all("(default" in text for text in flags.values())


def test_the_city_is_trained_under_its_short_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a table of its agents and one of its lanes, and maps of these."""
    folder = tmp_path / "run"
    arguments = ["--preset", "small", "--n-steps", "300", "--folder", str(folder), "--quiet"]
    assert main(["train", "city", *arguments]) == 0
    assert Run.open(folder).config.game == "grid_city"
    assert len((folder / "agents.csv").read_text().splitlines()) == 101
    assert len((folder / "lanes.csv").read_text().splitlines()) == 25
    assert (folder / "figures" / "lanes.png").stat().st_size > 5000
    assert "(default 10000000)" in flags_in_help(capsys, "train", "city")["--n-steps"]


def test_train_leaves_a_table_and_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Then evaluate and plot do the same again; here, without a progress bar."""
    folder = tmp_path / "run"
    assert main(["train", "matching", *TINY, "--folder", str(folder), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert f"results are in {folder}\n" in out
    for name in ("learned", "learned, exploring 0.05", "DICT", "COIN", "TURN", "random", "proportional"):
        assert any(line.split("  ")[1:2] == [name] for line in out.splitlines()), name
    with (folder / "evaluation.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    # 10⁴ steps of 10 pairs: -1 and -1.5 with a standard error of .0035 at most; within 4 of them.
    assert abs(float(rows["DICT"]["efficiency"]) + 1.0) < 0.014
    assert abs(float(rows["COIN"]["efficiency"]) + 1.5) < 0.014
    for name in FIGURES:
        for ending, start in (("png", b"\x89PNG\r\n\x1a\n"), ("pdf", b"%PDF-")):
            path = folder / "figures" / f"{name}.{ending}"
            assert path.read_bytes().startswith(start)
            assert path.stat().st_size > 3000
            assert f"{path}\n" in out
    assert len(list((folder / "figures").iterdir())) == 2 * len(FIGURES)
    assert Run.open(folder).config == TrainConfig(
        game_config={"n_agents": 20}, learner={"initial_q": -50}, n_steps=400, epoch_length=50, records=4
    )

    before = (folder / "evaluation.csv").read_bytes()
    assert main(["evaluate", str(folder)]) == 0
    assert (folder / "evaluation.csv").read_bytes() == before
    table = capsys.readouterr().out
    assert table in out

    shutil.rmtree(folder / "figures")
    assert main(["plot", str(folder), "--formats", "svg"]) == 0
    drawn = set(capsys.readouterr().out.splitlines())
    assert drawn == {str(folder / "figures" / f"{name}.svg") for name in FIGURES}
    assert drawn == {str(path) for path in (folder / "figures").iterdir()}


def test_evaluate_takes_its_own_settings(
    tmp_path: Path, finished_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    arguments = ["evaluate", str(folder), "--n-steps", "2e2", "--burn-in", "0", "--seed", "5"]
    assert main([*arguments, "--exploration", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "200 steps, 2 seed(s)" in out
    assert "over seeds" in out
    assert "learned, exploring 0.5 " in out
    first = (folder / "evaluation.csv").read_bytes()
    assert main([*arguments[:-1], "6", "--exploration", "0"]) == 0
    assert "exploring" not in capsys.readouterr().out
    assert (folder / "evaluation.csv").read_bytes() != first


def test_resume_goes_on(tmp_path: Path, unfinished_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the progress bar, which says how far it is."""
    folder = shutil.copytree(unfinished_folder, tmp_path / "run")
    assert main(["train", "matching", "--resume", str(folder), "--no-figures"]) == 0
    out = capsys.readouterr().out
    assert "100 %" in out
    assert "agent-steps/s" in out
    assert [row["step"] for row in Run.open(folder).metrics] == [100, 200, 300, 400]
    assert len(Run.open(folder).policies) == 1
    assert not (folder / "figures").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--karma-mean", "-1"], "karma_mean = -1 is not allowed; allowed: a number in [0, 20]"),
        (["--karma-mean", "21"], "karma_mean = 21 is not allowed; allowed: a number in [0, 20]"),
        (
            ["--urgency-transition", "[[0.5, 0.6], [0.5, 0.5]]"],
            "urgency_transition[0] = (0.5, 0.6) is not allowed; allowed: 2 probabilities with sum 1; "
            "the sum is 1.1",
        ),
        (["--n-agents", "1"], "n_agents = 1 is not allowed; allowed: a whole number from 2"),
        (["--n-agents", "many"], "n_agents = 'many' is not allowed"),
        (["--preset", "pbss"], "preset = 'pbss' is not allowed; allowed: default, pbs, "),
        (["--payment", "pbx"], "payment = 'pbx' is not allowed; allowed: "),
        (["--payment", "no_such_module:pay"], "payment = 'no_such_module:pay' is not allowed"),
        (["--n-steps", "1001"], "n_steps = 1001 is not allowed; allowed: a multiple of epoch_length = 1000"),
        (["--algorithm", "sarza"], "algorithm = 'sarza' is not allowed"),
        (["--learning-rate", "0"], "learning_rate = 0 is not allowed; allowed: a number in (0, 1]"),
        (["--config", "no-such-file.yaml"], "no-such-file.yaml: "),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    arguments: list[str],
    message: str,
    fails: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in fails("train", "matching", *arguments)
    assert message in fails("show-config", "matching", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_understood_has_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "unrecognized arguments: --karma-meen 3" in refused(
        capsys, "train", "matching", "--karma-meen", "3"
    )
    assert "invalid choice: 'chess'" in refused(capsys, "train", "chess")
    assert "required: RUN" in refused(capsys, "evaluate")
    assert "required: COMMAND" in refused(capsys)
    assert "argument --urgencies: not YAML: line 1, column 3: expected ',' or ']'" in refused(
        capsys, "train", "matching", "--urgencies", "[1"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["evaluate"], ["plot"], ["train", "matching", "--resume"]])
def test_a_folder_without_a_run(command: list[str], fails: Callable[..., str], tmp_path: Path) -> None:
    assert f"{tmp_path} holds no run: there is no config.yaml in it" in fails(*command, str(tmp_path))
    (tmp_path / "config.yaml").write_text("seed: [")
    assert f"{tmp_path / 'config.yaml'}: not YAML" in fails(*command, str(tmp_path))
    (tmp_path / "config.yaml").write_text("soil: 3")
    assert "TrainConfig has no field 'soil'" in fails(*command, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml"}


def test_an_unfinished_run(fails: Callable[..., str], unfinished_folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in unfinished_folder.iterdir()}
    assert "the run has not finished, policy-0.npz is missing" in fails("evaluate", str(unfinished_folder))
    assert f"{unfinished_folder / 'metrics.csv'} is missing" in fails("plot", str(unfinished_folder))
    assert {path.name: path.read_bytes() for path in unfinished_folder.iterdir()} == before


def test_a_damaged_policy(fails: Callable[..., str], tmp_path: Path, finished_folder: Path) -> None:
    folder = shutil.copytree(finished_folder, tmp_path / "run")
    (folder / "policy-1.npz").write_bytes(b"PK\x03\x04")
    assert f"{folder / 'policy-1.npz'} is damaged" in fails("evaluate", str(folder))
    np.savez(folder / "policy-1.npz", weights=np.zeros(3))
    assert f"{folder / 'policy-1.npz'} is not a policy" in fails("evaluate", str(folder))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--n-steps", "5"], "n_steps = 5 is not allowed; allowed: a whole number from 100"),
        (["evaluate", "--burn-in", "-1"], "burn_in = -1 is not allowed"),
        (["evaluate", "--exploration", "2"], "exploration = 2 is not allowed; allowed: a number in [0, 1]"),
        (["evaluate", "--seed", "one"], "seed = 'one' is not allowed; allowed: a whole number"),
        (["plot", "--formats", "png,xyz"], "formats = 'xyz' is not allowed; allowed: "),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_mistakes_about_a_finished_run(
    arguments: list[str], message: str, fails: Callable[..., str], finished_folder: Path
) -> None:
    before = {path.name for path in finished_folder.iterdir()}
    assert message in fails(arguments[0], str(finished_folder), *arguments[1:])
    assert {path.name for path in finished_folder.iterdir()} == before


def test_mistakes_about_resuming(fails: Callable[..., str], unfinished_folder: Path) -> None:
    resume = ["train", "matching", "--resume", str(unfinished_folder)]
    assert "goes on with the run's own configuration; leave out --seed" in fails(*resume, "--seed", "3")
    assert "leave out --preset" in fails(*resume, "--preset", "pbs")
    assert "leave out --folder" in fails(*resume, "--folder", "elsewhere")


def test_a_run_is_not_trained_over(fails: Callable[..., str], finished_folder: Path) -> None:
    config = (finished_folder / "config.yaml").read_bytes()
    message = fails("train", "matching", *TINY, "--folder", str(finished_folder), "--quiet")
    assert f"{finished_folder} holds a run already" in message
    assert (finished_folder / "config.yaml").read_bytes() == config


def test_results_that_cannot_be_written(
    fails: Callable[..., str], tmp_path: Path, finished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "run")
    assert f"cannot write results to {folder}" in fails(
        "train", "matching", *TINY, "--quiet", "--folder", folder
    )

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("os.replace", refuse)
    assert "Read-only file system" in fails(
        "train", "matching", *TINY, "--quiet", "--folder", str(tmp_path / "run")
    )


def test_a_run_that_takes_no_files_is_evaluated_to_the_terminal(
    finished_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The numbers are those that are kept of a run that takes files, and a line says that they are not."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(30, "Read-only file system")

    for arguments in ([], ["--exploitability", "exact"]):
        command = ["evaluate", str(finished_folder), "--n-steps", "100", *arguments]
        with monkeypatch.context() as patch:
            patch.setattr("os.replace", refuse)
            assert main(command) == 0
        line, table = capsys.readouterr().out.split("\n", 1)
        assert line == (
            f"what follows is not kept: cannot write results to {finished_folder}: Read-only file system"
        )
        assert "learned" in table or "payoff J" in table
        assert not list(finished_folder.glob("*.csv.*.tmp"))


def test_figures_without_matplotlib(
    fails: Callable[..., str], finished_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    assert "drawing needs Matplotlib: pip install 'karma-envs[plot]'" in fails("plot", str(finished_folder))


def test_the_configuration_of_a_run_is_what_show_config_prints(
    finished_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*TINY, "--seed", "3", "--replicas", "2", "--threads", "1"]
    assert main(["show-config", "matching", *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed == (finished_folder / "config.yaml").read_text()
    assert printed == to_yaml(Run.open(finished_folder).config)
