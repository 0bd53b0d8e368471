"""A game of N agents exactly, as one of them sees it who knows where all others are.

A :class:`JointModel` is what a game with few agents offers: for an agent of each kind a
:class:`DeviatorProblem`, the Markov decision process of that agent among others who play a given policy.
Nothing is left to an approximation: the state is that of the whole population, up to who is who.
:mod:`karma_envs.joint.solution` solves such problems.
"""

from karma_envs.joint.model import DeviatorProblem, JointModel

__all__ = ["DeviatorProblem", "JointModel"]
