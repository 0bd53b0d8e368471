"""PBS: the winner's bid joins the surplus (Thesis, section 2.3)."""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def pay(winner_bid, loser_bid, loser_karma, karma_max, parameters):
    return 0, winner_bid


RULE = Rule("pay_bid_to_society", pay, aliases=("pbs",))
