"""The rules of a matching game asked for all that they may be asked, and a surplus shared out; compiled."""

from __future__ import annotations

from karma_envs.numerics.compile import kernel


@kernel
def tabulate_payment(karma_max, pay, parameters, to_loser, to_society):
    """What a winner pays, by its bid, the loser's and the loser's karma; 0 where that cannot be."""
    for bid in range(karma_max + 1):
        for other_bid in range(karma_max + 1):
            for karma in range(other_bid, karma_max + 1):
                paid_to_loser, paid_to_society = pay(bid, other_bid, karma, karma_max, parameters)
                to_loser[bid, other_bid, karma] = paid_to_loser
                to_society[bid, other_bid, karma] = paid_to_society


@kernel
def tabulate_redistribution(karma_max, crowding, rule, parameters, tax, receives):
    """What an agent is taxed, and whether it shares, by the crowding that it met and its karma."""
    for crowd in range(crowding.shape[0]):
        for karma in range(karma_max + 1):
            due, gets = rule(karma, karma_max, crowding[crowd], parameters)
            tax[crowd, karma] = due
            receives[crowd, karma] = gets


@kernel
def tabulate_priority(urgencies, accesses, priority, parameters, priorities):
    """Priorities by group, bid and number of past accesses."""
    for group in range(urgencies.shape[0]):
        for bid in range(priorities.shape[1]):
            for index in range(accesses.shape[0]):
                priorities[group, bid, index] = priority(bid, urgencies[group], accesses[index], parameters)


@kernel
def share_out(
    total_karma, karma_max, members, karma_of, crowd_of, kept, receives, add, add_start, rows, columns, chance
):
    """How the surplus is shared out, as entries of a matrix.

    What is done is said in :func:`karma_envs.karma.surplus.redistribute`.

    Args:
        total_karma: of the population, with the surplus.
        karma_max: the cap.
        members: ``int64[M, N - 1]``, labels of the others after contests and taxes.
        karma_of: ``int64[labels]``.
        crowd_of: ``int64[labels]``, row of ``receives``.
        kept: ``int64[labels]``, the label afterwards of an agent that gets nothing.
        receives: ``bool[crowds, A]``, who shares, by karma.
        add: ``int32``, for multisets of 0, 1 … N - 2 labels afterwards, one after the other, the number of
            each with each label added.
        add_start: ``int64[N]``, where those of each size begin; in the last place how many labels there are.
        rows: written, if it is long enough; so are ``columns`` and ``chance``. A row is (others, own crowd,
            own karma), a column (others, own karma).

    Returns:
        how many entries there are.
    """
    n_others = members.shape[1]
    n_labels = add_start[n_others]
    n_crowds, n_actions = receives.shape
    count = 0
    for d in range(members.shape[0]):
        held_by_others = 0
        for i in range(n_others):
            held_by_others += karma_of[members[d, i]]
        for crowd in range(n_crowds):
            for own in range(n_actions):
                total = total_karma - held_by_others - own
                if total < 0:
                    continue
                # The level, and who has room above it: bit i for the others, bit N - 1 for the agent itself.
                level, extra, takers, n_takers = 0, 0, 0, 0
                while total > 0:
                    takers, n_takers = 0, 0
                    for i in range(n_others):
                        label = members[d, i]
                        room = karma_max - karma_of[label] > level
                        if room & receives[crowd_of[label], karma_of[label]]:
                            takers |= 1 << i
                            n_takers += 1
                    if (karma_max - own > level) & receives[crowd, own]:
                        takers |= 1 << n_others
                        n_takers += 1
                    if n_takers == 0:
                        break
                    if n_takers > total:
                        extra = total
                        break
                    total -= n_takers
                    level += 1
                # Each choice of so many of the takers is as likely as another.
                choices = 1.0
                for i in range(extra):
                    choices = choices * (n_takers - i) / (i + 1)
                chosen = 0
                while chosen < 1 << (n_others + 1):
                    bits, left = 0, chosen
                    while left:
                        left &= left - 1
                        bits += 1
                    if (bits == extra) & (chosen & takers == chosen):
                        if count < rows.shape[0]:
                            after = 0
                            for i in range(n_others):
                                label = members[d, i]
                                held = karma_of[label]
                                gets = min(level, karma_max - held) * receives[crowd_of[label], held]
                                gets += chosen >> i & 1
                                after = add[add_start[i] + after * n_labels + kept[label] + gets]
                            gets = min(level, karma_max - own) * receives[crowd, own]
                            gets += chosen >> n_others & 1
                            rows[count] = (d * n_crowds + crowd) * n_actions + own
                            columns[count] = after * n_actions + own + gets
                            chance[count] = 1.0 / choices
                        count += 1
                    if extra == 0:
                        break  # nobody gets an extra unit: there is one choice
                    chosen += 1
    return count
