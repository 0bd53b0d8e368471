"""Between PBP and PBS: the winner pays a share of its bid to the loser, and the rest joins the surplus.

The share is rounded to whole karma, halves up; what the loser cannot hold joins the surplus, too. A share of
1 is ``pay_bid_to_peer``, 0 is ``pay_bid_to_society``. As karma is whole, what is paid changes with the share
in jumps, for a bid b at odd multiples of 1/(2b), and no derivative by the share says anything.

Source: the Thesis, section 2.3, has the two ends; the rules between them are ours.
"""

from karma_envs.mechanisms.rule import Parameter, Rule
from karma_envs.numerics.compile import kernel


@kernel
def pay(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    to_loser = min(int(parameters[0] * winner_bid + 0.5), karma_max - loser_karma)
    return to_loser, winner_bid - to_loser


RULE = Rule(
    "pay_bid_in_parts",
    pay,
    parameters={"peer_share": Parameter(0.5, 0.0, 1.0, "share of the bid that the loser is paid")},
)
