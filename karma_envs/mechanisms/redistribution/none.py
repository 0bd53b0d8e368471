"""None: nobody shares; what is paid to society stays in the surplus."""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def redistribute(karma, karma_max, crowding, parameters):
    return 0.0, False


RULE = Rule("none", redistribute)
