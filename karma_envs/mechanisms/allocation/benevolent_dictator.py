"""DICT: the highest true urgencies win, as if a dictator knew them (Thesis, section 2.3)."""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def priority(bid, urgency, accesses, parameters):
    return urgency


RULE = Rule("benevolent_dictator", priority, aliases=("dict",), uses_bids=False)
