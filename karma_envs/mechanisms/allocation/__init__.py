"""Allocation: the agents of highest priority get the resource, ties broken at random.

A rule is a function ``priority(bid, urgency, accesses, parameters)`` of one agent that returns a
number: its ``bid`` (karma, 0 … k), its true ``urgency`` (u >= 0), how often it had ``accesses``
before, and the rule's ``parameters``. The highest of the contestants win. The number must not be NaN; the
function is tried on all bids and urgencies, and on accesses up to 2**40, as there is no end to these. Which
functions are accepted: :mod:`karma_envs.mechanisms`.
"""
