"""Conformance checks: does a game, or a parallel environment, keep its contract?

For games of your own and for those here alike::

    from karma_envs.checks import check_game, check_parallel_env
    from karma_envs.views.parallel import PopulationParallelEnv

    check_game(MyGame(n_agents=6))
    check_parallel_env(PopulationParallelEnv(MyGame, n_agents=6, max_cycles=20))

A game passes that is declared as it plays, hands over arrays of its own, obeys its seed and forgets the
episode before, goes on from its states and refuses all others, rolls out what it steps, adds up its totals,
loses no karma, and favours nobody for their number. Of a game with tables they are looked at, of one whose
actions are points of a box what becomes of its edges and of what is outside; one that ends must end after
as many steps as it says, and begin anew by draws of its own. Whether its rules are those that you meant,
only you can check.

The checks play episodes of fresh copies, so they are meant for a few agents and, for environments, a
short horizon. Every check is a function of its own; :data:`GAME_CHECKS` and
:data:`PARALLEL_ENV_CHECKS` list them, and :func:`checks_of` those that apply to a game.
"""

from karma_envs.checks.errors import CheckError
from karma_envs.checks.games import GAME_CHECKS, check_game, checks_of
from karma_envs.checks.parallel import PARALLEL_ENV_CHECKS, check_parallel_env

__all__ = [
    "GAME_CHECKS",
    "PARALLEL_ENV_CHECKS",
    "CheckError",
    "check_game",
    "check_parallel_env",
    "checks_of",
]
