"""Tax: a tax progressive in karma joins the surplus, which everyone shares equally.

The tax is ``rate * karma**2 / karma_max``: the share of its karma that an agent pays rises in
proportion to its karma, from 0 to ``rate`` at the cap.

Source: Elokda et al. 2023 propose karma taxes; the quadratic form and the rate are ours.
"""

from karma_envs.mechanisms.rule import Parameter, Rule
from karma_envs.numerics.compile import kernel


@kernel
def redistribute(karma, karma_max, crowding, parameters):
    return parameters[0] * karma * karma / karma_max, True


RULE = Rule(
    "tax",
    redistribute,
    parameters={"rate": Parameter(0.05, 0.0, 1.0, "share of its karma an agent at the cap pays")},
)
