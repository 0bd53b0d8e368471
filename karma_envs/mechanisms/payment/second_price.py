"""Second price: the winner pays the loser's bid to society (Vickrey 1961).

To society and not to the loser, who would otherwise gain by bidding high without wanting to win.
"""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def pay(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return 0, min(winner_bid, loser_bid)


RULE = Rule("second_price", pay)
