"""Where the others of an agent may be, and how that changes, whatever policies they play."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from karma_envs.games.matching.joint.kernels import Stage, States, share_out
from karma_envs.games.matching.joint.start import start_of_karma
from karma_envs.joint.multisets import Labels, Multisets, moved_independently, multisets

if TYPE_CHECKING:
    from karma_envs.games.matching.joint.rules import Rules


@dataclass(frozen=True)
class Alphabet:
    """The labels of agents before a contest, after it, and when the surplus has been shared out.

    All end in karma, which varies fastest. A *group* is a kind with one of its urgencies, a *row* one of the
    different rows of its urgency's chain, which is all that matters of an urgency after the contest; a
    *crowd* is whether it sat out, where the redistribution asks.

    Attributes:
        waiting: labels (group, karma).
        met: labels (kind, row, crowd, karma).
        settled: labels (kind, row, karma).
        group: ``int64[L]``, of a waiting label.
        after: ``int64[groups, crowds]``, the met label without karma of a group.
        crowd: ``int64[L']``, of a met label.
        kept: ``int64[L']``, the settled label of a met one.
        chances: ``float64[L'', L]``, of the next waiting label by the settled one.
        start_chances: the same for agents that begin, whose settled row is the first.
    """

    waiting: Labels
    met: Labels
    settled: Labels
    group: NDArray[np.int64]
    after: NDArray[np.int64]
    crowd: NDArray[np.int64]
    kept: NDArray[np.int64]
    chances: NDArray[np.float64]
    start_chances: NDArray[np.float64]


def alphabet_of(rules: Rules) -> Alphabet:
    """The labels of a game's agents."""
    n, n_crowds = rules.karma_max + 1, len(rules.crowding)
    karma = np.arange(n)
    kinds_of_rows = np.repeat(np.arange(len(rules.transitions)), [len(rows) for rows in rules.transitions])
    first_row = np.append(0, np.cumsum([len(rows) for rows in rules.transitions]))
    first_group = np.append(0, np.cumsum([rows.shape[1] for rows in rules.transitions]))
    n_rows, n_groups = len(kinds_of_rows), len(rules.kind_of_group)
    row_of_group = first_row[rules.kind_of_group] + rules.row_of_group
    chances, start_chances = np.zeros((2, n_rows, n, n_groups, n))
    for kind, rows in enumerate(rules.transitions):
        groups = slice(first_group[kind], first_group[kind + 1])
        for row, following in enumerate(rows):
            chances[first_row[kind] + row, karma, groups, karma] = following
        start_chances[first_row[kind], karma, groups, karma] = rules.start_urgency[kind]
    rows, crowds = np.divmod(np.repeat(np.arange(n_rows * n_crowds), n), n_crowds)
    return Alphabet(
        waiting=Labels(np.repeat(rules.kind_of_group, n), np.tile(karma, n_groups)),
        met=Labels(kinds_of_rows[rows], np.tile(karma, n_rows * n_crowds)),
        settled=Labels(np.repeat(kinds_of_rows, n), np.tile(karma, n_rows)),
        group=np.repeat(np.arange(n_groups), n),
        after=(row_of_group[:, None] * n_crowds + np.arange(n_crowds)) * n,
        crowd=crowds,
        kept=rows * n + np.tile(karma, n_rows * n_crowds),
        chances=chances.reshape(n_rows * n, n_groups * n),
        start_chances=start_chances.reshape(n_rows * n, n_groups * n),
    )


class Arrangement:
    """Where the others of an agent may be: their multisets before, within and after a step.

    Args:
        rules: of the game.
        kind: of the agent.

    Attributes:
        alphabet: the labels.
        others: ``int64[kinds]``, how many of the others there are of each kind.
        waiting: multisets of labels before the contest, by size.
        met: the same after the contest.
        settled: the same after redistribution.
        states: numbers of the states of all.
        n_states: how many.
        add_met: for each size, the number of a multiset of met labels with one more.
        stages: by how many of the others wait, those that a step goes through.
        own: numbers that there are of the agent itself, (crowd, karma, row of its urgency's chain).
        share: ``csr[(met, crowd, karma), (settled, karma)]``, how the surplus is shared out.
        tax: ``csr[met, met]``, how the others are taxed; None where nobody is.
        urgency: ``csr[settled, waiting]``, how the others' urgencies go on.
    """

    def __init__(self, rules: Rules, kind: int) -> None:
        self.rules, self.kind = rules, kind
        self.others = rules.agents_of_kind - (np.arange(len(rules.agents_of_kind)) == kind)
        self.alphabet = alphabet = alphabet_of(rules)
        self.waiting, self.met, self.settled = (
            multisets(labels, self.others, rules.total_karma)
            for labels in (alphabet.waiting, alphabet.met, alphabet.settled)
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
        self.urgency = moved_independently(self.settled, self.waiting, alphabet.chances)

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
        """Where everybody is when the game begins, by the others' multiset and own karma, ``float64[M, A]``."""
        n = self.rules.karma_max + 1
        measure = np.zeros((len(self.settled[-1]), n))
        first_row = np.append(0, np.cumsum([len(rows) for rows in self.rules.transitions]))
        for (own, others), chance in start_of_karma(self.rules.config, self.others).items():
            labels = np.array([[first_row[kind] * n + karma for kind, karma in others]], np.int64)
            measure[self.settled[-1].find(labels)[0], own] += chance
        urgency = moved_independently(self.settled, self.waiting, self.alphabet.start_chances)
        return np.asarray(urgency.T @ measure)

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
        return np.stack([chance[at : at + n, at : at + n] for at in range(0, len(self.rules.crowding) * n, n)])

    def _sharing(self) -> csr_array:
        rules, alphabet, met = self.rules, self.alphabet, self.met[-1]
        added = [smaller.with_one_more(larger) for smaller, larger in zip(self.settled, self.settled[1:])]
        starts = np.cumsum([0] + [table.size for table in added])
        starts[-1] = len(alphabet.settled.karma)
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
        shape = (len(met) * len(rules.crowding) * n, len(self.settled[-1]) * n)
        return coo_array((chance, (rows, columns)), shape=shape).tocsr()
