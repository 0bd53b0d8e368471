"""Animations: a game played into a file."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from karma_envs.config import real, refusal, whole
from karma_envs.finite import SamplingPolicy
from karma_envs.game import PopulationGame
from karma_envs.rendering.canvas import Canvas, rendered_games
from karma_envs.rendering.drawing import drawing
from karma_envs.transitions import play_on


def animate(
    game: PopulationGame,
    policy: SamplingPolicy,
    path: str | os.PathLike[str],
    *,
    n_steps: int = 200,
    seed: int = 0,
    frames_per_second: float = 10,
    steps_per_frame: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Play a policy from a reset and film it.

    The file appears when it is finished; when anything fails or is interrupted, there is none, or the
    one that was there before.

    Args:
        game: any game with pictures; it is reset.
        policy: what the agents play.
        path: the file; ``.gif``, or ``.mp4`` where the program ffmpeg is installed.
        n_steps: steps to play.
        seed: of all random draws.
        frames_per_second: above 0, at most 50; GIF knows durations of frames in hundredths of a second.
        steps_per_frame: a frame shows the last of so many steps; the last frame shows the last step.
        progress: called after each frame with how many are done and how many there will be.

    Returns:
        the file.

    Raises:
        ConfigError: for a game without pictures, another kind of file or no ffmpeg, a folder that there
            is not, or a number out of range.
        PolicyError: when the policy does not fit the game.
        ImportError: when Matplotlib is missing.
        OSError: when the file cannot be written.
    """
    path = Path(path)
    n_steps, steps_per_frame = whole("n_steps", n_steps, 1), whole("steps_per_frame", steps_per_frame, 1)
    frames_per_second = real("frames_per_second", frames_per_second, 0, 50, open_low=True)
    seed = whole("seed", seed, 0)
    if game.picture is None:
        raise refusal("game", game.name, f"a game with pictures: {', '.join(rendered_games())}")
    game.check_policy(policy)
    canvas = Canvas(game.picture, "rgb_array")
    write = _writer(path)

    game.reset(np.random.default_rng(seed))
    n_frames = -(-n_steps // steps_per_frame)

    def scenes() -> Iterator[dict[str, Any]]:
        for frame in range(1, n_frames + 1):
            done = (frame - 1) * steps_per_frame
            play_on(game, policy, min(steps_per_frame, n_steps - done))
            yield game.scene()
            if progress is not None:
                progress(frame, n_frames)

    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            draft = Path(folder) / path.name
            with drawing():
                write(draft, canvas, scenes(), frames_per_second)
            os.replace(draft, path)
    finally:
        canvas.close()
    return path


Writer = Callable[[Path, Canvas, Iterator[dict[str, Any]], float], None]


def _writer(path: Path) -> Writer:
    """What writes files of that kind.

    Raises:
        ConfigError: when nothing does, or there is no such folder.
    """
    from matplotlib.animation import FFMpegWriter

    ending = path.suffix.lower()
    if ending not in (".gif", ".mp4"):
        raise refusal("path", str(path), "a file that ends in .gif or .mp4")
    if ending == ".mp4" and not FFMpegWriter.isAvailable():
        raise refusal(
            "path", str(path), "a .gif file; for .mp4 the program ffmpeg must be installed, on the PATH"
        )
    if not path.parent.is_dir():
        raise refusal("path", str(path), f"a file in a folder that there is; {path.parent} is none")
    return _write_gif if ending == ".gif" else _write_mp4


def _write_gif(path: Path, canvas: Canvas, scenes: Iterator[dict[str, Any]], speed: float) -> None:
    from PIL import Image

    def image(scene: dict[str, Any]) -> Image.Image:
        """In 256 colours spread over all there are: most pixels are white, and the colour bars are small."""
        picture = canvas.show(scene)
        assert picture is not None
        return Image.fromarray(picture).quantize(method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)

    frames = map(image, scenes)
    pause = 10 * round(100 / speed)  # milliseconds
    with path.open("wb") as file:  # which Pillow would leave open when it is interrupted
        next(frames).save(file, "GIF", save_all=True, append_images=frames, duration=pause, loop=0)


def _write_mp4(path: Path, canvas: Canvas, scenes: Iterator[dict[str, Any]], speed: float) -> None:
    from matplotlib.animation import FFMpegWriter

    writer = FFMpegWriter(fps=speed)  # type: ignore[arg-type]  # ffmpeg takes fractions
    try:
        with writer.saving(canvas.figure, str(path), canvas.figure.dpi):
            for scene in scenes:
                canvas.paint(scene)
                writer.grab_frame()
    except subprocess.CalledProcessError as error:
        raise OSError(f"{path.name} could not be written: ffmpeg failed ({error})") from error
