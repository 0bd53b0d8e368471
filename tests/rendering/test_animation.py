"""Animations: as many frames as asked for, whole files or none, clear errors."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from karma_envs import make
from karma_envs.baselines import baseline_policy
from karma_envs.config import ConfigError
from karma_envs.game import PolicyError
from karma_envs.rendering import animate

pytest.importorskip("matplotlib")


def small(name="matching"):
    fields = {"matching": {"n_agents": 4}, "grid_city": {"preset": "small"}}
    game = make(name, **fields[name])
    return game, baseline_policy("random", game)


@pytest.mark.parametrize(("name", "size"), [("matching", (960, 640)), ("grid_city", (1200, 600))])
def test_a_gif_has_a_frame_per_step(name, size, tmp_path):
    path = tmp_path / "film.gif"
    seen = []
    found = animate(*small(name), path, n_steps=4, progress=lambda *done: seen.append(done))
    assert found == path
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert list(tmp_path.iterdir()) == [path]
    with Image.open(path) as film:
        assert film.n_frames == 4
        assert film.size == size
        assert film.info["duration"] == 100
        assert film.info["loop"] == 0
        frames = []
        for index in range(4):
            film.seek(index)
            frames.append(np.asarray(film.convert("RGB")))
    for before, after in pairwise(frames):
        assert not np.array_equal(before, after)
        assert after.min() < 100 < 200 < after.max()


@pytest.mark.parametrize(("n_steps", "steps_per_frame", "n_frames"), [(5, 2, 3), (6, 2, 3), (1, 9, 1)])
def test_steps_may_be_skipped(n_steps, steps_per_frame, n_frames, tmp_path):
    game, policy = small()
    path = animate(
        game,
        policy,
        tmp_path / "a.gif",
        n_steps=n_steps,
        steps_per_frame=steps_per_frame,
        frames_per_second=4,
    )
    assert game.outcome().steps == n_steps
    with Image.open(path) as film:
        assert film.n_frames == n_frames
        assert film.info["duration"] == 250


def test_the_same_seed_gives_the_same_file(tmp_path):
    game, policy = small()
    contents = [
        animate(game, policy, tmp_path / f"{index}.gif", n_steps=2, seed=seed).read_bytes()
        for index, seed in enumerate((3, 3, 4))
    ]
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_what_fails_leaves_the_old_file(failure, tmp_path):
    path = tmp_path / "film.gif"
    path.write_text("old")

    def stop(done, total):
        if done == 2:
            raise failure

    with pytest.raises(failure):
        animate(*small(), path, n_steps=3, progress=stop)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "film.avi"}, r"path = '.*film.avi' is not allowed; allowed: .*\.gif or \.mp4"),
        ({"path": "no/film.gif"}, r"path = .*allowed: a file in a folder that there is"),
        ({"n_steps": 0}, "n_steps = 0"),
        ({"steps_per_frame": 1.5}, "steps_per_frame = 1.5"),
        ({"frames_per_second": 0}, "frames_per_second = 0"),
        ({"frames_per_second": 51}, "frames_per_second = 51"),
        ({"seed": -1}, "seed = -1"),
    ],
    ids=str,
)
def test_errors_name_what_is_wrong(arguments, message, tmp_path):
    path = tmp_path / arguments.pop("path", "film.gif")
    with pytest.raises(ConfigError, match=message):
        animate(*small(), path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_mp4_needs_ffmpeg(tmp_path, monkeypatch):
    from matplotlib.animation import FFMpegWriter

    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda _: False))
    with pytest.raises(ConfigError, match="ffmpeg must be installed"):
        animate(*small(), tmp_path / "film.mp4")


def test_mp4(tmp_path):
    from matplotlib.animation import FFMpegWriter

    if not FFMpegWriter.isAvailable():
        pytest.skip("ffmpeg is not installed")
    path = animate(*small(), tmp_path / "film.mp4", n_steps=3)
    assert path.read_bytes()[4:8] == b"ftyp"
    assert list(tmp_path.iterdir()) == [path]


def test_ffmpeg_that_fails_is_named(tmp_path, monkeypatch):
    """A program of that name that takes nothing and fails."""
    import matplotlib

    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys; sys.stdin.buffer.read(); sys.exit(1)\n")
    program.chmod(0o755)
    monkeypatch.setitem(matplotlib.rcParams, "animation.ffmpeg_path", str(program))
    with pytest.raises(OSError, match=r"film.mp4 could not be written: ffmpeg failed"):
        animate(*small(), tmp_path / "film.mp4", n_steps=2)
    assert list(tmp_path.iterdir()) == [program.parent]


def test_games_without_pictures_are_refused(tmp_path, monkeypatch):
    game, policy = small()
    monkeypatch.setattr(type(game), "name", "chess")
    monkeypatch.setattr(type(game), "picture", None)
    with pytest.raises(ConfigError, match=r"game = 'chess' is not allowed; allowed: .*grid_city"):
        animate(game, policy, tmp_path / "film.gif")


def test_policies_must_fit(tmp_path):
    game, _ = small()
    _, other = small("grid_city")
    with pytest.raises(PolicyError):
        animate(game, other, tmp_path / "film.gif")
    assert list(tmp_path.iterdir()) == []
