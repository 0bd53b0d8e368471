"""Rules of a karma economy: who gets the resource, who pays whom, who gets the surplus.

Each rule is one small file with one jitted function and a ``RULE``; a family is a folder whose
docstring gives the function's shape. Adding a file adds a rule. A user's own function of the same
shape is accepted wherever a name is:

- a Python function (``def`` or ``lambda``, in a loop or a notebook too), or one compiled by ``@kernel`` or
  numba's ``@njit``, given itself or as ``"module:function"``; what it calls may be either. Not a class, an
  object, a method, a built-in function or a ``functools.partial``: give a lambda that calls the function.
- It is taken as it is when a configuration is given it. Values of globals, of its closure and of constants
  of modules that it or what it calls reads stay those of that moment for that configuration and its games;
  a new configuration takes those of its own.
- Where it reads only numbers, strings, arrays, enumerations, tuples of these, functions and modules, its
  machine code is kept on disk; with anything else it is compiled in every process anew.
- Games try it on what they may ask before they begin (:mod:`karma_envs.mechanisms.trial`).
"""

from karma_envs.mechanisms.rule import FAMILIES, Parameter, Rule, is_built_in, resolve, rules

__all__ = ["FAMILIES", "Parameter", "Rule", "is_built_in", "resolve", "rules"]
