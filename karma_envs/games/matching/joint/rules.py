"""The rules of a matching game as tables, made by the functions that its simulation plays by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from karma_envs.config import refusal
from karma_envs.games.matching.joint.kernels import Contest
from karma_envs.games.matching.joint.rule_kernels import (
    tabulate_payment,
    tabulate_priority,
    tabulate_redistribution,
)
from karma_envs.games.matching.kernels import PAIR_CROWDING

if TYPE_CHECKING:
    from karma_envs.games.matching.config import MatchingConfig

_ACCESSES = np.array([0, 1, 2, 3, 10, 100, 1000, 10**6])


@dataclass(frozen=True)
class Rules:
    """What happens in a step, of agents of some kinds: of one type each, and playing alike.

    Attributes:
        config: of the game.
        agents_of_kind: ``int64[kinds]``.
        karma_max: the cap.
        total_karma: with the surplus.
        urgencies: by kind ``float64[U]``, what losing costs.
        groups: by kind ``int64[U]``; a *group* is a kind with one of its urgencies.
        transitions: by kind ``float64[rows, U]``, the different rows of the urgency's chain.
        row_of_urgency: by kind ``int64[U]``, which of these an urgency goes on by.
        start_urgency: by kind ``float64[U]``.
        contest: who wins and who pays, by groups.
        crowding: ``float64[crowds]``, what agents may meet, as far as the redistribution tells it apart; the
            last is that of a pair.
        tax: ``float64[crowds, A]``, by karma.
        receives: ``bool[crowds, A]``.
    """

    config: MatchingConfig
    agents_of_kind: NDArray[np.int64]
    karma_max: int
    total_karma: int
    urgencies: tuple[NDArray[np.float64], ...]
    groups: tuple[NDArray[np.int64], ...]
    transitions: tuple[NDArray[np.float64], ...]
    row_of_urgency: tuple[NDArray[np.int64], ...]
    start_urgency: tuple[NDArray[np.float64], ...]
    contest: Contest
    crowding: NDArray[np.float64]
    tax: NDArray[np.float64]
    receives: NDArray[np.bool_]

    @property
    def keeps_surplus(self) -> bool:
        """Whether karma may be left in the surplus at the end of a step."""
        return not bool(self.receives.all())


def rules_of(
    config: MatchingConfig, type_of_kind: NDArray[np.int64], agents_of_kind: NDArray[np.int64]
) -> Rules:
    """The rules of a game as tables.

    Args:
        config: of the game.
        type_of_kind: ``int64[kinds]``.
        agents_of_kind: ``int64[kinds]``.

    Raises:
        ConfigError: for an allocation that looks at past accesses, of which a joint state says nothing.
    """
    types = [config.agent_types[kind] for kind in type_of_kind]
    urgencies = tuple(np.asarray(each.urgencies, np.float64) for each in types)
    ends = np.cumsum([len(each) for each in urgencies])
    distinct = [np.unique(each.transition_matrix, axis=0, return_inverse=True) for each in types]
    crowding, tax, receives = _redistribution(config)
    return Rules(
        config=config,
        agents_of_kind=agents_of_kind,
        karma_max=config.karma_max,
        total_karma=config.total_karma,
        urgencies=urgencies,
        groups=tuple(np.arange(end - len(each), end) for end, each in zip(ends.tolist(), urgencies)),
        transitions=tuple(rows for rows, _ in distinct),
        row_of_urgency=tuple(inverse.ravel() for _, inverse in distinct),
        start_urgency=tuple(each.stationary_urgency for each in types),
        contest=_contest(config, np.concatenate(urgencies)),
        crowding=crowding,
        tax=tax,
        receives=receives,
    )


def _contest(config: MatchingConfig, urgencies: NDArray[np.float64]) -> Contest:
    n = config.karma_max + 1
    allocation, payment = config.rule("allocation"), config.rule("payment")
    priorities = np.empty((len(urgencies), n, len(_ACCESSES)))
    tabulate_priority(
        urgencies.astype(np.float32),
        _ACCESSES,
        allocation.function,
        allocation.parameter_array(),
        priorities,
    )
    if (priorities != priorities[:, :, :1]).any():
        raise refusal(
            "allocation",
            config.allocation,
            "one that does not look at past accesses, for the game of N agents exactly",
        )
    mine, theirs = priorities[:, :, None, None, 0], priorities[None, None, :, :, 0]
    to_loser, to_society = np.zeros((2, n, n, n), np.int64)
    tabulate_payment(config.karma_max, payment.function, payment.parameter_array(), to_loser, to_society)
    return Contest((mine > theirs) + 0.5 * (mine == theirs), to_loser, to_society)


def _redistribution(
    config: MatchingConfig,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Crowding, taxes and who shares, where one of an odd number of agents sits out."""
    rule = config.rule("redistribution")
    n_crowds, n = len(PAIR_CROWDING), config.karma_max + 1
    tax, receives = np.empty((n_crowds, n)), np.empty((n_crowds, n), np.bool_)
    tabulate_redistribution(
        config.karma_max, PAIR_CROWDING, rule.function, rule.parameter_array(), tax, receives
    )
    if config.n_agents % 2 == 0 or ((tax == tax[0]) & (receives == receives[0])).all():
        return PAIR_CROWDING[1:], tax[1:], receives[1:]
    return PAIR_CROWDING, tax, receives
