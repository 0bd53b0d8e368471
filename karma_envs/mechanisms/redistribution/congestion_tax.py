"""Congestion tax: who met no congestion pays a share of its karma, which those who did share equally.

Agents whose crowding is at or below ``threshold``, dormant ones included, pay the share ``rate`` of their
karma. The others share what they paid, and the rest of the surplus. Where there are no others, it
waits for the next step.

Source: Thesis, section 6.2 proposes a congestion-dependent tax that subsidises those who have to
travel through the centre, without a form; the form is ours.
"""

from karma_envs.mechanisms.rule import Parameter, Rule
from karma_envs.numerics.compile import kernel


@kernel
def redistribute(karma, karma_max, crowding, parameters):
    congested = crowding > parameters[1]
    return parameters[0] * karma * (not congested), congested


RULE = Rule(
    "congestion_tax",
    redistribute,
    parameters={
        "rate": Parameter(0.05, 0.0, 1.0, "share of its karma that an agent without congestion pays"),
        "threshold": Parameter(1.0, 0.0, 1e9, "agents per place above which there is congestion"),
    },
)
