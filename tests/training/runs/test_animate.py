"""``karma-envs animate``: a film of a run, or of a simple policy in its place."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from training import TrainConfig, train
from training.cli import main


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")


@pytest.fixture
def folder(finished_folder: Path, tmp_path: Path) -> Path:
    """A run of its own."""
    return shutil.copytree(finished_folder, tmp_path / "run")


def frames(path: Path) -> int:
    with Image.open(path) as film:
        return int(getattr(film, "n_frames"))  # noqa: B009


def test_the_learned_policy_is_filmed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["animate", str(folder), "--steps", "3"]) == 0
    path = folder / "figures" / "animation.gif"
    assert capsys.readouterr().out.strip().endswith(str(path))
    assert frames(path) == 3


def test_policies_and_seeds_make_a_difference(folder: Path, tmp_path: Path) -> None:
    contents = set()
    for number, arguments in enumerate(
        ([], ["--policy", "bid_all"], ["--policy", "random"], ["--seed", "1"])
    ):
        path = tmp_path / f"{number}.gif"
        assert main(["animate", str(folder), "--steps", "2", "--output", str(path), *arguments]) == 0
        contents.add(path.read_bytes())
    assert len(contents) == 4


def test_steps_per_frame_and_speed(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.gif"
    arguments = ["--steps", "5", "--steps-per-frame", "2", "--fps", "5", "--output", str(path)]
    assert main(["animate", str(folder), *arguments]) == 0
    with Image.open(path) as film:
        assert film.info["duration"] == 200
    assert frames(path) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "bid_al"], "policy = 'bid_al' is not allowed; allowed: learned, random, bid_all"),
        (["--policy", "learnd"], "policy = 'learnd' is not allowed; allowed: learned, random"),
        (
            ["--output", "film.avi"],
            "path = 'film.avi' is not allowed; allowed: a file that ends in .gif or .mp4",
        ),
        (["--steps", "0"], "n_steps = 0 is not allowed"),
        (["--fps", "99"], "frames_per_second = 99 is not allowed"),
    ],
    ids=["policy", "letters", "output", "steps", "fps"],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", str(folder), *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"karma-envs: {message}")
    assert error.count("\n") == 1


def test_there_must_be_a_finished_run(
    unfinished_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", str(tmp_path)]) == 1
    assert "holds no run" in capsys.readouterr().err
    assert main(["animate", str(unfinished_folder), "--policy", "learned"]) == 1
    assert "the run has not finished" in capsys.readouterr().err


def test_the_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["animate", "--help"])
    text = capsys.readouterr().out
    for word in ("--policy", "random", "ffmpeg", "examples:", "--steps-per-frame", "default 200"):
        assert word in text


def test_an_agent_is_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = train(TrainConfig.from_flat("grid_city", "small", {"n_steps": 100}), tmp_path / "run")
    paths = [tmp_path / name for name in ("plain.gif", "followed.gif")]
    for path, arguments in zip(paths, ([], ["--follow", "99"])):
        assert main(["animate", str(run.folder), "--steps", "2", "--output", str(path), *arguments]) == 0
    assert paths[0].read_bytes() != paths[1].read_bytes()
    assert main(["animate", str(run.folder), "--follow", "100"]) == 1
    assert "follow = 100 is not allowed; allowed: a whole number from 0 to 99" in capsys.readouterr().err
