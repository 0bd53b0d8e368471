"""Does a game play just the actions that are legal, and say which they are?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.actions import action_limits
from karma_envs.checks.episodes import accepts, begun, legal_now, moments, reload, same_state, some_legal
from karma_envs.checks.errors import CheckError, expect
from karma_envs.finite import FiniteGame, highest_legal
from karma_envs.game import IllegalActionError, PopulationGame
from karma_envs.numerics.random import new_streams

_MOMENTS, _AGENTS = 10, 8
"""How many steps of a game, and how many agents, are looked at closely."""


def check_sample(game: PopulationGame) -> None:
    """What agents do under a policy is legal, follows from the streams alone, and changes nothing."""
    played = begun(game)
    policy = played.uniform_policy()
    streams = new_streams(np.random.default_rng(0), 1)
    for _ in moments(played, _MOMENTS):
        before, again = played.state_dict(), streams.copy()
        actions, repeated = (played.sample(policy, each) for each in (streams, again))
        expect(np.array_equal(actions, repeated), "sample: the same streams give other actions")
        expect(np.array_equal(streams, again), "sample: the same draws leave other streams")
        expect(same_state(before, played.state_dict()), "sample changed the state")
        taken = played.actions_of(actions)
        same_kind = actions.dtype == taken.dtype and actions.shape == taken.shape
        expect(same_kind, f"sample must give {taken.dtype}{list(taken.shape)}")
        expect(played.admissible(taken)[1] is None, "sample gave an illegal action")


def check_legality(game: PopulationGame) -> None:
    """The mask is what is legal: all it allows is accepted, all else refused, and then nothing changes.

    What is played in place of an illegal action is legal; in games with tables the highest legal one below.
    """
    played, n_agents, n_actions = begun(game), game.n_agents, int(game.action_space.n)  # type: ignore[union-attr]
    for _ in _places(played):
        before, legal = played.state_dict(), legal_now(played)
        nearest = highest_legal(legal)
        for agent in range(min(n_agents, _AGENTS)):
            for action in (-1, *range(n_actions + 1)):
                actions = np.argmax(legal, axis=1)
                actions[agent] = action
                is_legal = 0 <= action < n_actions and bool(legal[agent, action])
                replacement, replaced = played.admissible(actions)
                flagged = replaced is not None and bool(replaced[agent])
                expect(flagged is not is_legal, f"admissible: is action {action} illegal, or not?")
                if isinstance(played, FiniteGame):
                    below = nearest[agent, min(max(action, 0), n_actions - 1)]
                    expect(replacement[agent] == below, f"admissible must play {below} in place of {action}")
                accepted = accepts(played, actions)
                expect(accepted or not is_legal, f"action {action} is legal by the mask, but refused")
                expect(is_legal or not accepted, f"action {action} is illegal by the mask, but accepted")
                _expect_unchanged(played, before, accepted)
                if not is_legal:
                    expect(accepts(played, replacement), "admissible: what is played instead is refused")
                    reload(played, before)
        _expect_refused(played, np.zeros(n_agents + 1, np.int64), np.zeros(n_agents))


def check_box(game: PopulationGame) -> None:
    """The edges of the box are accepted; what is outside is refused by a step and clipped by admissible.

    What is not finite is no action. Nothing that is refused changes anything.
    """
    played, n_agents = begun(game), game.n_agents
    low, high = action_limits(game.action_space)
    edges = {"lowest": (low, -np.inf), "highest": (high, np.inf)}
    rng = np.random.default_rng(2)
    for _ in _places(played):
        before = played.state_dict()
        inside = some_legal(played, rng)
        untouched, replaced = played.admissible(inside)
        expect(np.array_equal(untouched, inside) and replaced is None, "admissible changed legal actions")
        expect(untouched is not inside, "admissible must give a new array")
        for name, (edge, beyond) in edges.items():
            actions = inside.copy()
            actions[:] = edge
            expect(accepts(played, actions), f"the {name} actions of the box are legal, but refused")
            reload(played, before)
            for agent in range(min(n_agents, _AGENTS)):
                for outward in (np.nextafter(edge, beyond), edge + np.sign(beyond, dtype=np.float32)):
                    actions = inside.copy()
                    actions[agent] = outward
                    expect(not accepts(played, actions), f"an action beyond the {name} was accepted")
                    _expect_unchanged(played, before, accepted=False)
                    _expect_clipped(played, actions, agent, edge)
        not_finite = [inside.copy() for _ in range(2)]
        for actions, number in zip(not_finite, (np.nan, np.inf)):
            actions[-1] = number
            _expect_no_actions(played, actions)
        _expect_refused(played, *not_finite, np.zeros((n_agents + 1, *low.shape), np.float32))


def _expect_clipped(game: PopulationGame, actions: NDArray[Any], agent: int, edge: NDArray[Any]) -> None:
    """admissible plays the edge for an agent that is beyond it, and says whose action was replaced."""
    expected = actions.copy()
    expected[agent] = edge
    whose = np.arange(game.n_agents) == agent
    clipped, replaced = game.admissible(actions)
    expect(np.array_equal(clipped, expected), "admissible: an action outside the box is not clipped to it")
    expect(np.array_equal(np.asarray(replaced), whose), "admissible must say whose action it replaced")


def _expect_no_actions(game: PopulationGame, actions: NDArray[Any]) -> None:
    try:
        game.actions_of(actions)
    except IllegalActionError:
        return
    raise CheckError("actions_of must refuse actions that are not finite")


def _places(game: PopulationGame) -> Any:
    """Moments of a game in which it is not over."""
    yield 0
    for number, _ in enumerate(moments(game, _MOMENTS), 1):
        if not game.is_over:
            yield number


def _expect_unchanged(game: PopulationGame, before: dict[str, NDArray[Any]], accepted: bool) -> None:
    """Load the state before an accepted step; after a refused one it must be there still."""
    if accepted:
        reload(game, before)
    else:
        expect(same_state(before, game.state_dict()), "a refused action changed the state")


def _expect_refused(game: PopulationGame, *wrong: NDArray[Any]) -> None:
    before = game.state_dict()
    for actions in wrong:
        expect(not accepts(game, actions), "actions of a wrong shape or dtype must be refused")
        _expect_unchanged(game, before, accepted=False)
