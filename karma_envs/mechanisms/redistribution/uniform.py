"""Uniform: everyone shares equally in the surplus (Thesis, section 2.3 and 5.1)."""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def redistribute(karma, karma_max, crowding, parameters):
    return 0.0, True


RULE = Rule("uniform", redistribute)
