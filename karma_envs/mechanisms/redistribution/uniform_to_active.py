"""Uniform among those who competed in this step; the inactive get nothing.

Source: Thesis, section 2.3 names the option for dormant agents. Where every active agent is at the
cap, what is left stays in the surplus until the next step.
"""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def redistribute(karma, karma_max, crowding, parameters):
    return 0.0, crowding > 0


RULE = Rule("uniform_to_active", redistribute)
