"""Where the others of an agent may be, and how that changes, whatever policies they play."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from karma_envs.games.matching.joint.kernels import Stage, States
from karma_envs.games.matching.joint.rule_kernels import share_out
from karma_envs.games.matching.joint.start import start_of_karma
from karma_envs.joint.multisets import Labels, moved_independently, multisets

if TYPE_CHECKING:
    from karma_envs.games.matching.joint.rules import Rules


@dataclass(frozen=True)
class Alphabet:
    """The labels of agents between steps, when they wait for a contest, and after it.

    All end in karma, which varies fastest. A *row* is one of the different rows of the chain of a kind's
    urgency: all that a step leaves of an urgency is the row that the next one is drawn by. A *crowd* is
    whether an agent sat out, where the redistribution asks.

    Attributes:
        waiting: labels (kind, row, karma).
        met: labels (kind, row, crowd, karma).
        row: ``int64[L]``, of a waiting label, among those of its kind.
        first_row: ``int64[kinds]``, how many rows the kinds before have.
        crowd: ``int64[L']``, of a met label.
        kept: ``int64[L']``, the waiting label of a met one, when the crowd is forgotten.
    """

    waiting: Labels
    met: Labels
    row: NDArray[np.int64]
    first_row: NDArray[np.int64]
    crowd: NDArray[np.int64]
    kept: NDArray[np.int64]


def alphabet_of(rules: Rules) -> Alphabet:
    """The labels of a game's agents."""
    n, n_crowds = rules.karma_max + 1, len(rules.crowding)
    sizes = np.array([len(rows) for rows in rules.transitions])
    first_row = np.cumsum(sizes) - sizes
    kind_of_row, karma = np.repeat(np.arange(len(sizes)), sizes), np.arange(n)
    n_rows = len(kind_of_row)
    rows, crowds = np.divmod(np.repeat(np.arange(n_rows * n_crowds), n), n_crowds)
    return Alphabet(
        waiting=Labels(np.repeat(kind_of_row, n), np.tile(karma, n_rows)),
        met=Labels(kind_of_row[rows], np.tile(karma, n_rows * n_crowds)),
        row=np.repeat(np.arange(n_rows) - first_row[kind_of_row], n),
        first_row=first_row,
        crowd=crowds,
        kept=rows * n + np.tile(karma, n_rows * n_crowds),
    )


class Arrangement:
    """Where the others of an agent may be: their multisets before, within and after a step.

    Args:
        rules: of the game.
        kind: of the agent.

    Attributes:
        alphabet: the labels.
        others: ``int64[kinds]``, how many of the others there are of each kind.
        waiting: multisets of labels between steps, by size.
        met: the same after the contest.
        states: numbers of the states of all.
        n_states: how many.
        add_met: for each size, the number of a multiset of met labels with one more.
        stages: by how many of the others wait, those that a step goes through.
        own: numbers that there are of the agent itself, (crowd, karma, row of its urgency's chain).
        share: ``csr[(met, crowd, karma), (waiting, karma)]``, how the surplus is shared out.
        tax: ``csr[met, met]``, how the others are taxed; None where nobody is.
    """

    def __init__(self, rules: Rules, kind: int) -> None:
        self.rules, self.kind = rules, kind
        self.others = rules.agents_of_kind - (np.arange(len(rules.agents_of_kind)) == kind)
        self.alphabet = alphabet = alphabet_of(rules)
        self.waiting, self.met = (
            multisets(labels, self.others, rules.total_karma) for labels in (alphabet.waiting, alphabet.met)
        )
        self.own = len(rules.crowding) * (rules.karma_max + 1) * len(rules.transitions[kind])
        self.add_met = [smaller.with_one_more(larger) for smaller, larger in zip(self.met, self.met[1:])]
        n_others = len(self.waiting) - 1
        sizes = range(n_others + 1) if n_others % 2 == 0 else range(0, n_others, 2)
        self.stages = {size: self._stage(size) for size in sizes}
        self.states, self.n_states = self._states()
        self.share = self._sharing()
        self.tax = None
        if rules.tax.any():
            self.tax = moved_independently(self.met, self.met, self._taxation())

    @property
    def n_urgencies(self) -> int:
        """Urgencies of the agent."""
        return int(self.rules.transitions[self.kind].shape[1])

    @property
    def n_waiting(self) -> int:
        """Multisets of the others before the contest."""
        return len(self.waiting[-1])

    @cached_property
    def start(self) -> NDArray[np.float64]:
        """Where everybody is when the game begins, by the others' multiset and own karma, ``float64[M, A]``.

        Urgencies are at rest from the start, so it is as if a step had been made before it.
        """
        rules, n = self.rules, self.rules.karma_max + 1
        measure = np.zeros((self.n_waiting, n))
        for (own, others), chance in start_of_karma(rules.config, self.others).items():
            labels = [self.alphabet.first_row[kind] * n + karma for kind, karma in others]
            measure[self.waiting[-1].find(np.sort([labels]))[0], own] += chance
        moves = np.eye(len(self.alphabet.row))
        for label in np.flatnonzero(self.alphabet.row == 0):
            kind = self.alphabet.waiting.kind[label]
            drawn = rules.start_urgency[kind]
            moves[label] = 0.0
            np.add.at(moves[label], label + n * rules.row_of_urgency[kind], drawn)
        return np.asarray(moved_independently(self.waiting, self.waiting, moves).T @ measure)

    @cached_property
    def after_peer(self) -> NDArray[np.int32]:
        """Who waits when each of the others has met the agent, ``int32[M, N - 1]``."""
        smaller, everyone = self.waiting[-2:]
        return np.stack([everyone.without(smaller, peer) for peer in range(everyone.size)], axis=1)

    def _stage(self, size: int) -> Stage:
        waiting, met = self.waiting[size], self.met[len(self.met) - 1 - size]
        most = self.rules.total_karma
        # Multisets of those who have met are ordered by kinds, then karma: those that fit stand together.
        places = met.kinds * (most + 1) + met.karma
        fitting = (self.met[-1].kinds[0] - waiting.kinds) * (most + 1)
        low = np.searchsorted(places, fitting, "left")
        high = np.searchsorted(places, fitting + most - waiting.karma, "right")
        widths = (high - low) * self.own
        none = np.empty((len(waiting), 0), np.int32)
        pairs = [waiting.without(self.waiting[size - 2], 0, second) for second in range(1, size)]
        return Stage(
            members=waiting.members,
            base=np.cumsum(widths) - widths - low * self.own,
            low=low.astype(np.int64),
            high=high.astype(np.int64),
            after_pair=np.stack(pairs, axis=1) if pairs else none,
            after_idle=waiting.without(self.waiting[size - 1], 0) if size % 2 else none[:, 0:0].ravel(),
        )

    def length(self, size: int) -> int:
        """Numbers of a stage in which ``size`` of the others wait."""
        stage = self.stages[size]
        return int((stage.high - stage.low).sum()) * self.own

    def _states(self) -> tuple[States, int]:
        rest = self.rules.total_karma - self.waiting[-1].karma
        low = np.zeros_like(rest) if self.rules.keeps_surplus else np.minimum(rest, self.rules.karma_max + 1)
        high = np.minimum(rest, self.rules.karma_max) + 1
        sizes = np.maximum(high - low, 0) * self.n_urgencies
        return States(np.cumsum(sizes) - sizes, low, high), int(sizes.sum())

    def _taxation(self) -> NDArray[np.float64]:
        """Where an agent is after taxes, by met labels."""
        labels, alphabet = np.arange(len(self.alphabet.met.karma)), self.alphabet
        karma, tax = alphabet.met.karma, self.rules.tax[alphabet.crowd, alphabet.met.karma]
        whole = np.floor(tax).astype(np.int64)
        chance = np.zeros((len(labels), len(labels)))
        chance[labels, labels - np.minimum(whole, karma)] += 1 - (tax - whole)
        chance[labels, labels - np.minimum(whole + 1, karma)] += tax - whole
        return chance

    @cached_property
    def own_taxation(self) -> NDArray[np.float64]:
        """Where the agent itself is after taxes, ``float64[crowds, A, A]``."""
        n, chance = self.rules.karma_max + 1, self._taxation()
        return np.stack(
            [chance[at : at + n, at : at + n] for at in range(0, len(self.rules.crowding) * n, n)]
        )

    def _sharing(self) -> csr_array:
        rules, alphabet, met = self.rules, self.alphabet, self.met[-1]
        added = [smaller.with_one_more(larger) for smaller, larger in zip(self.waiting, self.waiting[1:])]
        starts = np.cumsum([0] + [table.size for table in added])
        starts[-1] = len(alphabet.waiting.karma)
        flat = np.concatenate([table.ravel() for table in added])
        columns, rows, chance = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        for _ in range(2):  # to count, and to write
            count = share_out(
                rules.total_karma,
                rules.karma_max,
                met.members,
                alphabet.met.karma,
                alphabet.crowd,
                alphabet.kept,
                rules.receives,
                flat,
                starts,
                rows,
                columns,
                chance,
            )
            if len(rows) < count:
                rows, columns, chance = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count)
        n = rules.karma_max + 1
        shape = (len(met) * len(rules.crowding) * n, len(self.waiting[-1]) * n)
        return coo_array((chance, (rows, columns)), shape=shape).tocsr()
