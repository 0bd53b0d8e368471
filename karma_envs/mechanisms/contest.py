"""A contest of two: the higher priority wins, a coin breaks ties."""

from __future__ import annotations

from karma_envs.numerics.compile import kernel


@kernel
def first_wins(first_priority, second_priority, coin):
    """Whether the first of two contestants wins the one resource; ``coin`` decides a tie."""
    return (first_priority > second_priority) | ((first_priority == second_priority) & coin)
