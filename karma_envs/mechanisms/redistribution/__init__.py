"""Redistribution: what each agent gives to the surplus, and who shares in it.

A rule is a function ``redistribute(karma, karma_max, active, parameters)`` of one agent that returns
``(tax, receives)``: the expected karma taken from it this step (a float in 0 … karma, rounded up or
down at random so that the expectation holds), and whether it shares in the surplus. ``active`` is
whether the agent competed in this step. Sharing itself is the same for all rules:
:func:`karma_envs.mechanisms.surplus.redistribute`.
"""
