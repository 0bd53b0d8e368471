"""Mistakes on the command line, over all commands: one clear line, no traceback, and nothing is written."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agents.learners import TabularConfig
from karma_envs.registry import game_class, names
from training.benchmark.algorithms import algorithms
from training.cli import main
from training.common.config import load_layer
from training.common.plain_yaml import parse_yaml
from training.runs.config import TrainConfig
from training.solving.solution import SolveConfig
from training.theory.tools import TheoryConfig

OVER = ["--over", "karma_mean=5,6", "--folder", "sweep"]
COMMANDS: dict[str, tuple[list[str], list[str]]] = {  # before and after what is wrong
    "train": (["train"], []),
    "solve": (["solve"], []),
    "theory": (["theory"], []),
    "show-config": (["show-config"], []),
    "sweep": (["sweep"], OVER),
}
GAMES = ("matching", "grid_city", "routes")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mistake(capsys: pytest.CaptureFixture[str], folder: Path) -> Callable[..., tuple[int, str]]:
    """Runs a command that must fail; gives the status, and its one line on standard error."""

    def run(*arguments: str) -> tuple[int, str]:
        before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
        capsys.readouterr()
        try:
            status = main(arguments)
        except SystemExit as error:
            status = int(str(error.code))
        out, err = capsys.readouterr()
        assert out.strip() == ""  # but for the end of a progress bar
        assert err.startswith("karma-envs")
        assert (err.count("\n"), err[-1]) == (1, "\n")
        assert len(err) < 2500
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
        return status, err

    return run


WRONG: list[tuple[list[str], int, str]] = [  # for every game and each of the commands above
    (["--karma-max", "1:30"], 1, "karma_max = '1:30' is not allowed; allowed: a whole number"),
    (["--karma-max", "yes"], 1, "karma_max = 'yes' is not allowed"),
    (["--karma-max", "2024-01-01"], 1, "karma_max = '2024-01-01' is not allowed"),
    (["--karma-max", "none"], 1, "karma_max = 'none' is not allowed"),
    (["--karma-max", ""], 1, "karma_max = None is not allowed"),
    (["--karma-max", ".inf"], 1, "karma_max = inf is not allowed"),
    (
        ["--karma-max", "{a: 1, a: 2}"],
        2,
        "argument --karma-max: not YAML: line 1, column 8: a is given twice",
    ),
    (["--karma-max", "[" * 500], 2, "argument --karma-max: not plain YAML: nested too deeply"),
    (["--karma-max", "9" * 5000], 2, "a whole number of 5000 characters cannot be"),
    (["--urgencies", "[1"], 2, "argument --urgencies: not YAML: line 1, column 3"),
    (["--urgencies", "one"], 1, "urgencies[0] = 'one' is not allowed"),
    (["--types", "3"], 1, "types[0] = 3 is not allowed"),
    (["--redistribution", "unifrom"], 1, "(did you mean uniform?)"),
    (["--redistribution", "tax(rate=0.1, rate=0.2)"], 1, "rate is given twice"),
    (["--redistribution", "no_such_module:rule"], 1, "No module named 'no_such_module'"),
    (["--preset", "nonesuch"], 1, "preset = 'nonesuch' is not allowed; allowed: "),
    (["--karma-mx", "3"], 2, "unrecognized arguments: --karma-mx 3 (did you mean --karma-max?)"),
    (["--karma-ma", "3"], 2, "unrecognized arguments: --karma-ma 3 (did you mean --karma-max?)"),
    (["--nagents=3"], 2, "unrecognized arguments: --nagents=3 (did you mean --n-agents?)"),
    (["--n-agents"], 2, "argument --n-agents: expected one argument"),
    (["something"], 2, "unrecognized arguments: something"),
    (["--config", "none.yaml"], 1, "none.yaml: "),
    (["--config", "."], 1, "karma-envs: .: "),
]


@pytest.mark.parametrize(
    ("wrong", "status", "says"),
    WRONG,
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_flag(
    command: str, wrong: list[str], status: int, says: str, mistake: Callable[..., tuple[int, str]]
) -> None:
    before, after = COMMANDS[command]
    game = GAMES[len(command) % len(GAMES)]
    found, line = mistake(*before, game, *wrong, *after)
    assert says in line
    assert found == status


FILES: dict[str, tuple[str | bytes, str]] = {
    "twice": (
        "karma_max: 3\nn_agents: 4\nkarma_max: 5\n",
        "line 3, column 1: karma_max is given twice, first in",
    ),
    "sections": (
        "karma_max: 3\ngame_config: {karma_max: 3}\n",
        "karma_max is given twice, by itself and in game_config",
    ),
    "list": ("[1, 2]\n", "a configuration is a mapping"),
    "key": ("1: 2\n", "line 1, column 1: a key is a name"),
    "merge": ("<<: {karma_max: 3}\n", "there is no field '<<'"),
    "null": ("game_config:\n", "game_config = None is not allowed; allowed: a mapping"),
    "deep": ("karma_max: " + "[" * 500, "nested too deeply"),
    "circle": ("karma_max: &a [*a]\n", "with those that aliases repeat"),
    "repeated": ("karma_max: &b [&a [1, 1, 1], *a]\nn_agents: [*b, *b]", "is not allowed; allowed: a whole"),
    "name": ("redistribution: no\n", "redistribution = 'no' is not allowed"),
    "object": ("karma_max: !!python/name:os.getcwd\n", "could not determine a constructor"),
    "bytes": (b"karma_max: \xff\xfe", "codec can't decode"),
    "typo": ("karma_mxa: 3\n", "there is no field 'karma_mxa' (did you mean karma_max?)"),
    "other game": ("game: auction\n", "game = 'auction' is not allowed"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_file(command: str, name: str, folder: Path, mistake: Callable[..., tuple[int, str]]) -> None:
    content, says = FILES[name]
    (folder / "mine.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    before, after = COMMANDS[command]
    status, line = mistake(*before, GAMES[len(name) % len(GAMES)], "--config", "mine.yaml", *after)
    assert says in line
    assert status == 1


OTHERS: list[tuple[list[str], int, str]] = [
    ([], 2, "karma-envs: error: the following arguments are required: COMMAND; see karma-envs --help"),
    (["trian"], 2, "invalid choice: 'trian' "),
    (["trian"], 2, "(did you mean train?)"),
    (["train"], 2, "required: GAME"),
    (["train", "matchng"], 2, "(did you mean matching?)"),
    (["solve", "citty"], 2, "(did you mean city?)"),
    (["sweep", "matchng"], 2, "(did you mean matching?)"),
    (["show-config", "chess"], 2, "invalid choice: 'chess'"),
    (["list", "matchng"], 1, "game = 'matchng' is not allowed; allowed: auction, grid_city, "),
    (["list", "matching", "city"], 2, "unrecognized arguments: city"),
    (["train", "matching", "--resume", "none"], 1, "none holds no run"),
    (["train", "matching", "--epoch-length", "none"], 1, "epoch_length = 'none' is not allowed"),
    (["solve", "matching", "--tolerance", "soon"], 1, "tolerance = 'soon' is not allowed"),
    (["solve", "matching", "--method", "newton"], 1, "method = 'newton' is not allowed"),
    (["theory", "matching", "--tools", "lipshitz"], 1, "(did you mean lipschitz?)"),
    (["evaluate", "none"], 1, "none holds no run"),
    (["evaluate", "none", "--exploitability", "exakt"], 2, "(did you mean exact?)"),
    (["evaluate", "none", "--nsteps", "4"], 2, "(did you mean --n-steps?)"),
    (["plot", "none"], 1, "none holds no run"),
    (["plot"], 2, "required: RUN"),
    (["animate", "none"], 1, "none holds no run"),
    (["sweep", "matching", "--folder", "x"], 2, "required: --over"),
    (["sweep", "matching", "--over", "karma_mean", "--folder", "x"], 2, "is not FIELD=VALUES"),
    (["sweep", "matching", "--over", "karma_maen=1,2", "--folder", "x"], 1, "(did you mean karma_mean?)"),
    (["sweep", "matching", "--over", "karma_mean=[1", "--folder", "x"], 2, "not YAML"),
    (["sweep", "matching", "--over", "karma_mean=1:30", "--folder", "x"], 1, "karma_mean = '1:30'"),
    (["sweep", "none.yaml", *OVER], 1, "none.yaml: "),
    (["sweep", "--resume", "none"], 1, "none holds no sweep"),
    (["benchmark", "lst"], 2, "(did you mean list?)"),
    (["benchmark", "run", "--folder", "x"], 2, "required: --algo"),
    (["benchmark", "run", "--folder", "x", "--algo", "sarza"], 1, "(did you mean sarsa?)"),
    (["benchmark", "run", "--folder", "x", "--algo", "sarsa", "--seeds", "1:30"], 1, "seeds = '1:30'"),
    (["benchmark", "run", "--folder", "x", "--algo", "sarsa", "--tasks", "chess"], 1, "= 'chess' is not"),
    (["benchmark", "report", "none"], 1, "none holds no results"),
    (
        ["benchmark", "add", "none.json"],
        1,
        "--leaderboard is missing; it is docs/benchmark only in a checkout",
    ),
    (["benchmark", "add", "none.json", "--leaderboard", "x"], 1, "none.json"),
    (["reproduce", "figg-6-1"], 1, "(did you mean fig-6-1?)"),
    (["reproduce", "fig-6-1"], 1, "--folder is missing; it is docs/results only in a checkout of karma-envs"),
    (["reproduce", "fig-6-1", "--scale", "ful"], 2, "(did you mean full?)"),
    (["reproduce", "fig-6-1", "--seeds", "yes", "--folder", "x"], 1, "seeds = 'yes' is not allowed"),
]


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    OTHERS,
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_of_one_command(
    arguments: list[str], status: int, says: str, folder: Path, mistake: Callable[..., tuple[int, str]]
) -> None:
    (folder / "docs" / "results").mkdir(parents=True)  # another project's
    found, line = mistake(*arguments)
    assert says in line
    assert found == status


# --- what is meant as it stands ------------------------------------------------------------------------


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """The game's fields that show-config prints."""
    capsys.readouterr()
    assert main(["show-config", *arguments]) == 0
    printed = parse_yaml(capsys.readouterr().out)
    return {**printed, **printed["learner"], **printed["game_config"]}


def test_numbers_are_decimal(capsys: pytest.CaptureFixture[str]) -> None:
    fields = shown(capsys, "matching", "--seed", "010", "--karma-max", "0_20", "--n-steps", "3_000_000")
    assert (fields["seed"], fields["karma_max"], fields["n_steps"]) == (10, 20, 3_000_000)


NAMES = [
    *("a #1_net.tntp", "a: b_net.tntp", "[x]_net.tntp", "&a_net.tntp", "@a.graphml", "%a_net.tntp"),
    *("!a_net.tntp", "*_net.tntp", "'q'_net.tntp", "- a_net.tntp", "路_net.tntp"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_taken_as_they_stand(name: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "karma_envs/games/grid_city/data/town_net.tntp", folder / name)
    assert shown(capsys, "city", "--network", name)["network"] == name


@pytest.mark.parametrize("game", names())
def test_defaults_may_be_said_as_the_help_shows_them(game: str, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["show-config", game, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    said = re.findall(r"(--[a-z-]+) VALUE (?:(?!VALUE).)*?\(default ([^ ]*)\)(?= --| [a-z])", told)
    assert len(said) >= 20
    of_karma = {"[]", "1.0,5.0", "equal", "0.98"}
    has_karma = "karma_max" in game_class(game).config_class.field_names()
    of_learner = {"tabular": {"21"}, "actor_critic": {"auto"}}[game_class(game).learner]
    assert {default for _, default in said} > {"none"} | of_learner | (of_karma if has_karma else set())
    assert shown(capsys, game, *(text for pair in said for text in pair)) == shown(capsys, game)


def test_a_name_or_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    for given, scale in (("0.5", 0.5), ("median", "median")):
        assert (
            shown(capsys, "city", "--network", "town", "--capacity-scale", given)["capacity_scale"] == scale
        )
    for none in ("none", "None", "null", "~"):
        assert shown(capsys, "city", "--network", "town", "--exclude", none)["exclude"] is None


def test_lists_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    fields = shown(capsys, "matching", "--urgencies", "3", "--urgency-transition", "1")
    assert (fields["urgencies"], fields["urgency_transition"]) == ([3.0], [1.0])
    fields = shown(capsys, "city", "--types", "{discount: 0.5}", "--path-sets", "central", "--capacity", "9")
    assert fields["types"][0]["discount"] == 0.5  # type: ignore[index]
    assert (fields["path_sets"], fields["capacity"]) == (
        ["central"],
        9,
    )  # of capacity a list is another thing
    assert shown(capsys, "matching", "--types", "[]", "--initial-karma", "equal")["initial_karma"] == "equal"


@pytest.mark.parametrize("word", ["none", "None", "null", "~"])
def test_none_where_it_is_the_default(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    fields = shown(
        capsys, "city", "--capacity", word, "--urgency-transition", word, "--routes-per-trip", word
    )
    assert (fields["capacity"], fields["urgency_transition"], fields["routes_per_trip"]) == (None, None, None)
    assert shown(capsys, "city", "--redistribution", "none", "--monitor", "none")["redistribution"] == "none"


def test_configurations_are_printed_for_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escaped where the terminal's encoding lacks a letter, as ``?`` would name another file."""
    bytes_written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_written, encoding="latin-1"))
    assert main(["show-config", "city", "--network", "nets:道"]) == 0
    assert parse_yaml(bytes_written.getvalue().decode("latin-1"))["game_config"]["network"] == "nets:道"


# --- terminals and readers -----------------------------------------------------------------------------


@pytest.fixture
def closed_pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard output that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        yield


@pytest.mark.usefixtures("closed_pipe")
def test_a_reader_that_has_seen_enough_stops_no_work(finished_folder: Path, folder: Path) -> None:
    shutil.copytree(finished_folder, folder / "run")
    assert main(["list"]) == 0
    assert main(["show-config", "matching"]) == 0
    assert main(["evaluate", "run", "--n-steps", "200", "--burn-in", "0"]) == 0
    assert (folder / "run" / "evaluation.csv").is_file()
    assert main(["evaluate", "none"]) == 1


HELPS = [
    *([name, "--help"] for name in ("animate", "benchmark", "evaluate", "plot", "reproduce", "sweep")),
    *([name, "city", "--help"] for name in ("show-config", "solve", "theory", "train")),
    ["list"],
    ["benchmark", "list"],
    ["reproduce", "list"],
    ["show-config", "city"],
]


def all_helps() -> None:
    for command in HELPS:
        try:
            status: object = main(command)
        except SystemExit as error:
            status = error.code
        assert status == 0, command


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_every_command_prints_in_any_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_written, encoding=encoding))
    all_helps()
    printed = " ".join(bytes_written.getvalue().decode(encoding).split())
    assert f"or probabilities of 0 {'…' if encoding == 'cp1252' else '?'} karma_max" in printed


def test_every_command_without_docstrings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As under ``python -OO``, which strips them."""
    configs = [game_class(name).config_class for name in names()]
    games = [sys.modules[game_class(name).__module__] for name in names()]
    trained = [algorithm.train for algorithm in algorithms().values()]
    for documented in (*configs, *games, *trained, TabularConfig, TrainConfig, SolveConfig, TheoryConfig):
        monkeypatch.setattr(documented, "__doc__", None)
    all_helps()
    assert "--karma-max VALUE (default 14)" in " ".join(capsys.readouterr().out.split())


def test_the_exit_statuses_are_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert {int(number) for number in re.findall(r"^  (\d+)  ", told, re.MULTILINE)} == {0, 1, 2, 3, 130}


def test_a_file_without_fields_is_the_defaults(folder: Path) -> None:
    (folder / "empty.yaml").write_text("# nothing\n")
    assert load_layer(folder / "empty.yaml") == {}
