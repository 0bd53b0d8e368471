"""Rules of a karma economy: who gets the resource, who pays whom, who gets the surplus.

Each rule is one small file with one jitted function and a ``RULE``; a family is a folder whose
docstring gives the function's shape. Adding a file adds a rule. A user's own function of the same
shape is accepted wherever a name is.
"""

from karma_envs.mechanisms.rule import FAMILIES, Parameter, Rule, is_built_in, resolve, rules

__all__ = ["FAMILIES", "Parameter", "Rule", "is_built_in", "resolve", "rules"]
