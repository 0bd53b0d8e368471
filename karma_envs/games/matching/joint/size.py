"""How large the exact game of N agents is, told before it is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from karma_envs.config import refusal
from karma_envs.games.matching.joint.arrangement import alphabet_of
from karma_envs.games.matching.joint.rules import Rules
from karma_envs.joint.multisets import are_numbered, counts_of_pairs

if TYPE_CHECKING:
    from karma_envs.games.matching.config import MatchingConfig

MOST_AGENTS = 16
MOST_KARMA = 300
MOST_BYTES = 8e9
MOST_OPERATIONS = 2e9
"""Of a step backwards or forwards in time, in the worst case; a solution takes some hundreds of steps."""

_VECTORS = 60  # of numbers of all states, that linear solves hold
_TABLES = 8  # of numbers of all states and actions
_ENTRY = 60  # bytes of an entry of a sparse matrix, while it is made
_INSTEAD = "agents.evaluators.few_agents.simulated_bound bounds from below, in play, what an agent gains"


class Size(NamedTuple):
    """What the exact game takes for an agent of one kind.

    Attributes:
        n_states: joint states.
        n_bytes: memory, about.
        n_operations: of a step, where all bids are possible, about.
    """

    n_states: float
    n_bytes: float
    n_operations: float


def size_of(rules: Rules, kind: int) -> Size:
    """How large the game is as an agent of a kind sees it."""
    alphabet, n, total = alphabet_of(rules), rules.karma_max + 1, rules.total_karma
    others = rules.agents_of_kind - (np.arange(len(rules.agents_of_kind)) == kind)
    n_others = int(others.sum())
    pairs = counts_of_pairs(alphabet.waiting, alphabet.met, others, total)
    purses = np.minimum(total - np.arange(total + 1), rules.karma_max) + 1  # an agent's own, with a surplus
    alone = purses if rules.keeps_surplus else np.arange(total + 1) >= total - rules.karma_max
    n_states = float(pairs[-1] @ alone) * len(rules.urgencies[kind])
    own = len(rules.crowding) * n * len(rules.transitions[kind])
    sizes = np.arange(n_others + 1)
    lengths = pairs.sum(axis=1) * own
    if n_others % 2:
        lengths[1::2] = 0.0
    shared = float(pairs[0] @ purses) * len(rules.crowding) * 2.0 ** (n_others + 1) / (n_others + 1)
    outcomes = 2 * n * len(alphabet.waiting.kind) ** 2 / 2
    n_bytes = (
        8 * (lengths.sum() + _VECTORS * n_states + _TABLES * n * n_states)
        + _ENTRY * (shared + pairs.sum() / n)
        + 16 * outcomes
    )
    return Size(n_states, float(n_bytes), float((lengths * sizes).sum() * 2 * n))


def check_limits(config: MatchingConfig) -> None:
    """Refuse a game of more agents or karma than tables of its rules are made for.

    Raises:
        ConfigError: naming what there is too much of, and what to do instead.
    """
    for field, most in (("n_agents", MOST_AGENTS), ("karma_max", MOST_KARMA)):
        if (value := getattr(config, field)) > most:
            raise refusal(field, value, f"at most {most} for the game of N agents exactly; {_INSTEAD}")


def check_size(rules: Rules) -> None:
    """Refuse a game that takes more than 8 GB, or too long.

    Raises:
        ConfigError: naming agents, karma and joint states, and what to do instead.
    """
    n_agents = int(rules.agents_of_kind.sum())
    largest = max(
        (size_of(rules, kind) for kind in range(len(rules.agents_of_kind))), key=lambda size: size[1]
    )
    numbered = are_numbered(alphabet_of(rules).met, n_agents - 1)
    if largest.n_bytes > MOST_BYTES or largest.n_operations > MOST_OPERATIONS or not numbered:
        raise refusal(
            "n_agents",
            n_agents,
            f"so few that the game of N agents can be computed exactly: with karma_max = {rules.karma_max} "
            f"it has {largest.n_states:.2g} joint states, takes {largest.n_bytes / 1e9:.2g} GB (at most "
            f"{MOST_BYTES / 1e9:g}) and {largest.n_operations:.1g} operations a step (at most "
            f"{MOST_OPERATIONS:.0g}); less karma helps as well, and {_INSTEAD}",
        )
