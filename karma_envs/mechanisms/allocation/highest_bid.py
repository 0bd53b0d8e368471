"""Karma: the highest sealed bids win (Thesis, section 2.3, resource allocation rule)."""

from karma_envs.compile import kernel
from karma_envs.mechanisms.rule import Rule


@kernel
def priority(bid, urgency, accesses, parameters):
    return bid


RULE = Rule("highest_bid", priority, aliases=("karma",))
