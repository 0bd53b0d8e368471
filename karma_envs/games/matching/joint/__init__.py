"""The matching game of N agents, exactly: from the same rules that the simulation plays by.

The state is where everybody is, up to who is who: of one agent its urgency and karma, of the others the
multiset of (kind, row, karma). Agents of a *kind* have one type and play alike; a *row* is the one of the
chain of its urgency by which an agent's urgency of this step is drawn, which nobody has seen. Where urgencies
are drawn anew at every step there is a single row, and the state is everybody's karma. No agent can know
more of the others, whatever it remembers. Karma is conserved: what is in no purse is in the surplus.

A step is a product of smaller ones, so that nothing of the size states x states is ever made: one agent meets
another, then those who are left are matched pair by pair, taxes are drawn, the surplus is shared out, and
the agent's own urgency is drawn. The others' are drawn as they meet, as these depend on nothing else.

What fits 8 GB and 10 minutes, of one kind of agents whose urgencies are drawn anew: with a ``karma_max`` of
20 up to 6 agents (54 000 states), of 10 up to 8 (16 000 states), of 6 up to 10, of 4 up to 12. Measured, both
bounds of the default game's equilibrium: 6 agents take 202 CPU seconds and .55 GB, the upper bound alone
57 s; 6 with a ``karma_max`` of 10 take 3 s and .22 GB, 4 agents of the default game a second. More kinds,
chains of urgencies and policies that play many bids take more. What is larger is refused before any work.

Source: the model of :mod:`karma_envs.games.matching`; exact evaluation up to permutation is ours.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from karma_envs.games.matching.joint.arrangement import Alphabet, Arrangement
from karma_envs.games.matching.joint.kernels import (
    Contest,
    Deviator,
    Pairs,
    Waiting,
    chance_to_lose,
    draw_urgency,
    meet,
    meet_deviator,
    pair_outcomes,
    sit_out,
    sit_out_deviator,
)
from karma_envs.games.matching.joint.rules import Rules, rules_of
from karma_envs.games.matching.joint.size import check_limits, check_size
from karma_envs.joint.model import DeviatorProblem, JointModel

if TYPE_CHECKING:
    from karma_envs.games.matching.config import MatchingConfig

__all__ = ["MatchingDeviator", "MatchingJoint"]


class MatchingJoint(JointModel):
    """A matching game of few agents, exactly.

    Args:
        config: of the game.
        kind_of_agent: ``int[N]``, agents of one kind have one type and play alike.
        type_of_agent: ``int[N]``.

    """

    def __init__(
        self, config: MatchingConfig, kind_of_agent: NDArray[Any], type_of_agent: NDArray[Any]
    ) -> None:
        _, first, counts = np.unique(kind_of_agent, return_index=True, return_counts=True)
        self.agents_of_kind = counts.astype(np.int64)
        self.type_of_kind = np.asarray(type_of_agent[first], np.int64)
        self.discounts = np.array([config.agent_types[kind].discount for kind in self.type_of_kind])
        self.config = config
        karma = np.arange(config.karma_max + 1)
        uses_bids = config.rule("allocation").uses_bids
        self.legal_actions = karma <= np.tile(karma, config.n_urgencies)[:, None] * uses_bids
        self._arrangements: dict[int, Arrangement] = {}

    @cached_property
    def rules(self) -> Rules:
        """The rules of the game as tables."""
        check_limits(self.config)
        return rules_of(self.config, self.type_of_kind, self.agents_of_kind)

    def check_size(self) -> None:
        check_size(self.rules)

    def deviator(self, kind: int, policy: NDArray[np.float64]) -> MatchingDeviator:
        self.check_size()
        if kind not in self._arrangements:
            self._arrangements[kind] = Arrangement(self.rules, kind)
        return MatchingDeviator(self, self._arrangements[kind], policy)


class MatchingDeviator(DeviatorProblem):
    """What an agent of the matching game faces among few others who play a policy.

    Args:
        model: of the game.
        arrangement: where the others may be.
        policy: ``float64[kinds, X, A]``, what they play.
    """

    def __init__(self, model: MatchingJoint, arrangement: Arrangement, policy: NDArray[np.float64]) -> None:
        self._arrangement, self._rules = arrangement, model.rules
        self.discount = float(model.discounts[arrangement.kind])
        self.legal_actions = model.legal_actions
        self.own_observation = self._observations()
        rows = self._rules.row_of_urgency[arrangement.kind]
        self._deviator = Deviator(self._rules.groups[arrangement.kind], rows, int(rows.max()) + 1)
        self._waiting = waiting_who_play(policy, model.rules, arrangement.alphabet)
        self._pairs = pairs_of(model.rules.contest, self._waiting, len(arrangement.alphabet.kept))

    @cached_property
    def start(self) -> NDArray[np.float64]:
        measure, urgency = self._arrangement.start, self._rules.start_urgency[self._arrangement.kind]
        start = np.zeros(self.n_states)
        draw_urgency(self._arrangement.states, urgency[None], start, measure[:, :, None], True)
        return start

    @cached_property
    def reward(self) -> NDArray[np.float64]:
        there, lose = self._arrangement, np.zeros((self.n_states, self.legal_actions.shape[1]))
        members = there.waiting[-1].members
        chance_to_lose(there.states, members, self._rules.contest, self._waiting, self._deviator, lose)
        urgency = self._rules.urgencies[there.kind][self.own_observation // (self._rules.karma_max + 1)]
        return np.asarray(-urgency[:, None] * lose * self.legal)

    def following(
        self, value: NDArray[np.float64], weights: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        there, n = self._arrangement, self._rules.karma_max + 1
        transition = self._rules.transitions[there.kind]
        n_crowds, n_rows = len(self._rules.crowding), len(transition)
        settled = np.zeros((len(there.waiting[-1]), n, n_rows))
        draw_urgency(there.states, transition, np.ascontiguousarray(value), settled, False)
        met = there.share @ settled.reshape(-1, n_rows)
        if there.tax is not None:
            taxed = (there.tax @ met.reshape(len(there.met[-1]), -1)).reshape(-1, n_crowds, n, n_rows)
            met = np.einsum("cab,dcbr->dcar", there.own_taxation, taxed)
        numbers = {0: np.ascontiguousarray(met).ravel()}
        for size in list(there.stages)[1:]:
            numbers[size] = np.zeros(there.length(size))
            self._matched(size, numbers, forwards=False)
        result = np.zeros((self.n_states, n))
        self._meet_deviator(numbers, self.legal if weights is None else weights, result, forwards=False)
        return result

    def pushed(self, flow: NDArray[np.float64]) -> NDArray[np.float64]:
        there, n = self._arrangement, self._rules.karma_max + 1
        transition = self._rules.transitions[there.kind]
        n_crowds, n_rows = len(self._rules.crowding), len(transition)
        numbers = {size: np.zeros(there.length(size)) for size in there.stages}
        self._meet_deviator(numbers, flow, np.ascontiguousarray(flow), forwards=True)
        for size in list(there.stages)[:0:-1]:
            self._matched(size, numbers, forwards=True)
        met = numbers[0].reshape(-1, n_crowds, n, n_rows)
        if there.tax is not None:
            taxed = np.einsum("cab,dcar->dcbr", there.own_taxation, met)
            met = there.tax.T @ taxed.reshape(len(there.met[-1]), -1)
        settled = np.ascontiguousarray(there.share.T @ met.reshape(-1, n_rows)).reshape(-1, n, n_rows)
        following = np.zeros(self.n_states)
        draw_urgency(there.states, transition, following, settled, True)
        return following

    def _matched(self, size: int, numbers: dict[int, NDArray[np.float64]], *, forwards: bool) -> None:
        """The contest of the first of those who wait, when so many do."""
        there = self._arrangement
        stage, n_met = there.stages[size], len(there.met) - 1 - size
        if size % 2:
            base, later = there.stages[size - 1].base, numbers[size - 1]
            add = there.add_met[n_met]
            sit_out(stage, self._waiting, add, base, there.own, later, numbers[size], forwards)
        if size >= 2:
            meet(
                stage,
                self._pairs,
                len(self._waiting.karma),
                there.add_met[n_met],
                there.add_met[n_met + 1],
                there.stages[size - 2].base,
                there.own,
                numbers[size - 2],
                numbers[size],
                forwards,
            )

    def _meet_deviator(
        self,
        numbers: dict[int, NDArray[np.float64]],
        weights: NDArray[np.float64],
        table: NDArray[np.float64],
        *,
        forwards: bool,
    ) -> None:
        there, n_others = self._arrangement, len(self._arrangement.waiting) - 1
        active = there.own // len(self._rules.crowding) * (len(self._rules.crowding) - 1)
        meet_deviator(
            there.states,
            there.waiting[-1].members,
            there.after_peer,
            self._rules.contest,
            self._waiting,
            self._deviator,
            there.add_met[0][0],
            there.stages[n_others - 1].base + active,
            there.own,
            weights,
            numbers[n_others - 1],
            table,
            forwards,
        )
        if n_others % 2 == 0:
            base, later = there.stages[n_others].base, numbers[n_others]
            sit_out_deviator(
                there.states, self._deviator, base, n_others + 1, weights, later, table, forwards
            )

    def _observations(self) -> NDArray[np.int64]:
        states, n_urgencies = self._arrangement.states, self._arrangement.n_urgencies
        width = np.maximum(states.high - states.low, 0)
        blocks = np.repeat(np.arange(len(width)), width * n_urgencies)
        within = np.arange(self._arrangement.n_states) - states.start[blocks]
        urgency, karma = np.divmod(within, width[blocks])
        return urgency * (self._rules.karma_max + 1) + karma + states.low[blocks]


def waiting_who_play(policy: NDArray[np.float64], rules: Rules, alphabet: Alphabet) -> Waiting:
    """What agents do who wait for a contest.

    Args:
        policy: ``float64[kinds, X, A]``.
        rules: of the game.
        alphabet: the labels.
    """
    n, n_crowds = rules.karma_max + 1, len(rules.crowding)
    kinds, karma = alphabet.waiting.kind, alphabet.waiting.karma
    shape = len(karma), max(len(each) for each in rules.urgencies)
    group, active, idle = np.zeros((3, *shape), np.int64)
    drawn, bids = np.zeros(shape), np.zeros((*shape, n))
    for label, (kind, row) in enumerate(zip(kinds, alphabet.row)):
        size = len(rules.urgencies[kind])
        group[label, :size] = rules.groups[kind]
        drawn[label, :size] = rules.transitions[kind][row]
        bids[label, :size] = policy[kind, np.arange(size) * n + karma[label]]
        first = (alphabet.first_row[kind] + rules.row_of_urgency[kind]) * n_crowds * n
        idle[label, :size], active[label, :size] = first, first + (n_crowds - 1) * n
    return Waiting(karma, group, drawn, drawn[:, :, None] * bids, active, idle)


def pairs_of(contest: Contest, waiting: Waiting, n_met: int) -> Pairs:
    """How contests of two who play their policies end, of ``n_met`` labels after the contest."""
    start, scratch = np.empty(len(waiting.karma) ** 2 + 1, np.int64), np.zeros((n_met, n_met))
    count = 0
    for _ in range(2):  # to count, and to write
        pairs = Pairs(start, np.empty(count, np.int32), np.empty(count, np.int32), np.empty(count))
        count = pair_outcomes(contest, waiting, start, scratch, *pairs[1:])
    return pairs
