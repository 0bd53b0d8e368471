"""Redistribution: what each agent gives to the surplus, and who shares in it.

A rule is a function ``redistribute(karma, karma_max, crowding, parameters)`` of one agent that returns
``(tax, receives)``: the expected karma taken from it this step (a float in 0 … karma, rounded up or
down at random so that the expectation holds), and whether it shares in the surplus. ``crowding`` is
how many agents wanted the resource that the agent competed for in this step, itself included, for each
place there (a float above 0: 2 in a pair that meets over one resource, and bidders over capacity at a
lane); 0 for an agent that competed for none. Sharing itself is the same for all rules:
:func:`karma_envs.karma.surplus.redistribute`. Games try a rule out on all karma and the crowding that
there can be. Which functions are accepted: :mod:`karma_envs.mechanisms`.

A rule with ``by_resource`` first gives back what was paid for a resource to those who competed for it,
and applies its function to the rest: :func:`karma_envs.karma.surplus.share_by_resource`.
"""
