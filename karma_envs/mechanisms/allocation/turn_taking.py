"""TURN: those who had the resource least often in the past win (Thesis, section 2.3)."""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def priority(bid, urgency, accesses, parameters):
    return -accesses


RULE = Rule("turn_taking", priority, aliases=("turn",), uses_bids=False)
