"""``karma-envs animate``: film what the agents of a run do."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.progress import Progress

from karma_envs.baselines import baseline_policy
from karma_envs.config import choice, whole
from training.common.console import console
from training.common.figures import require_matplotlib
from training.common.flags import value
from training.common.trust import add_trust
from training.runs.folder import Run

_LEARNED = "learned"

_DESCRIPTION = """\
Film a game. The agents of a finished run play it from its beginning with the policies they have learned
(of the first replica, without exploration), or all with a simple policy to compare with. A step is a
picture; a GIF plays in browsers and slides, an MP4 is smaller and needs the program ffmpeg.
"""

_EPILOG = """\
examples:
  karma-envs animate runs/grid_city-001
  karma-envs animate runs/grid_city-001 --policy random --output random.gif
  karma-envs animate runs/grid_city-001 --follow 7
  karma-envs animate runs/grid_city-001 --steps 2000 --steps-per-frame 10 --output city.mp4
"""

COMMAND = "animate"


def add(subparsers: Any) -> None:
    """Add the command."""
    command = subparsers.add_parser(
        COMMAND,
        help="film what the agents of a finished run do",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("run", metavar="RUN", help="folder of the run")
    command.add_argument(
        "--output", metavar="FILE", help="what to write, .gif or .mp4 (default figures/animation.gif in RUN)"
    )
    command.add_argument("--steps", type=value, default=200, help="steps to play (default 200)")
    command.add_argument(
        "--steps-per-frame", type=value, default=1, help="show every so many steps (default 1)"
    )
    command.add_argument("--fps", type=value, default=10, help="pictures per second, up to 50 (default 10)")
    command.add_argument(
        "--policy",
        default=_LEARNED,
        help=f"what all play: {_LEARNED}, or a baseline of the game, such as random (default {_LEARNED})",
    )
    command.add_argument(
        "--follow", type=value, metavar="AGENT", help="also show the paths of an agent, by its number"
    )
    command.add_argument("--seed", type=value, default=0, help="seed of the game (default 0)")
    add_trust(command)
    command.set_defaults(action=_run)


def _run(options: argparse.Namespace) -> None:
    from karma_envs.rendering import animate

    require_matplotlib()
    run = Run.open(options.run, trust=options.trust)
    game = run.game()
    name = choice("policy", options.policy, (_LEARNED, *game.baselines))
    if options.follow is not None:
        game.followed = whole("follow", options.follow, 0, game.n_agents - 1)
    policy = run.policy if name == _LEARNED else baseline_policy(name, game)
    if options.output is None:
        (run.folder / "figures").mkdir(exist_ok=True)
    output = Path(options.output or run.folder / "figures" / "animation.gif")
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("filming", total=None)
        path = animate(
            game,
            policy,
            output,
            n_steps=options.steps,
            seed=options.seed,
            frames_per_second=options.fps,
            steps_per_frame=options.steps_per_frame,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    console.print(str(path))
