"""By resource: what was paid for a resource is shared by all who competed for it, winners and losers.

What they cannot hold joins the surplus, which everyone shares equally.

Source: Thesis, section 6.2 proposes redistribution by lane; how it is done is ours.
"""

from karma_envs.mechanisms.rule import Rule
from karma_envs.numerics.compile import kernel


@kernel
def redistribute(karma, karma_max, crowding, parameters):
    return 0.0, True


RULE = Rule("by_resource", redistribute, aliases=("by_lane",), by_resource=True)
