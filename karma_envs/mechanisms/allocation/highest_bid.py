"""Karma: the highest sealed bids win (Thesis, section 2.3, resource allocation rule)."""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def priority(bid, urgency, accesses, parameters):
    return bid


RULE = Rule("highest_bid", priority, aliases=("karma",))
