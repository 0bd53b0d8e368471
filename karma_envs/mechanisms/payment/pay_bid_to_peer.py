"""PBP: the winner pays its bid to the loser; what the loser cannot hold joins the surplus.

Source: Thesis, section 2.3 and 6.1 ("karma is paid to the user until the maximum karma is reached
and any remaining karma is added to the societal surplus").
"""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def pay(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    to_loser = min(winner_bid, karma_max - loser_karma)
    return to_loser, winner_bid - to_loser


RULE = Rule("pay_bid_to_peer", pay, aliases=("pbp",))
