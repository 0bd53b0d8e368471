"""Payment: what the winner of a contest pays, and to whom.

A rule is a function ``pay(winner_bid, loser_bid, loser_karma, karma_max, parameters)`` that returns
two whole numbers ``(to_loser, to_society)``, each >= 0, with ``to_loser + to_society <= winner_bid``
and ``loser_karma + to_loser <= karma_max``. What goes to society joins the surplus that is
redistributed in the same step. Games try a rule out on every possible argument before they play: it must
give two whole numbers on all of them, read no array beyond its end and raise nothing. Which functions are
accepted: :mod:`karma_envs.mechanisms`.
"""
