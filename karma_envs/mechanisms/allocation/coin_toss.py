"""COIN: a fair coin decides (Thesis, section 2.3)."""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def priority(bid, urgency, accesses, parameters):
    return 0


RULE = Rule("coin_toss", priority, aliases=("coin",), uses_bids=False)
