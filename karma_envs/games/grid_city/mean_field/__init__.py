"""The congested city with many agents: what one of them faces, given what the others bring to the lanes.

Agents differ in their trips, so the agents of each type with the same trips are a *kind*, with a row of its
own in policies. As in the game an agent is dormant, or on a trip: at a place (a position of its plan, with
the trip's urgency u), with karma k; it takes an option and bids b. What it meets at lane l are competitors
whose number is random. With N m_i agents of kind i, mu_i where they are and pi_i what they do,

    lambda_l(b) = N sum over i of m_i sum over x at l of mu_i(x) pi_i(b | x)    bids b for l per step,
    Lambda_l(b) = sum over b' >= b of lambda_l(b')                              bids of at least b,
    P_l(b)      = [T_c(Lambda_l(b)) - T_c(Lambda_l(b + 1))] / lambda_l(b)       the chance to get in with b,

where T_c(Lambda) is how many of a random number of agents, Lambda on average, get in where c can. All who
want a lane are a Poisson number of agents, those of high priority among them a queue, as who loses stays
(:mod:`.queueing`); ties are random, and what goes in comes out. Where priority is not by bids, classes of
equal priority stand for bids, so DICT and COIN have such a model as well.

    who gets in:    reward 0,  karma R_l(k - b), the place that follows
    who does not:   reward -u, karma R_l(k),     the same place

R is redistribution: a tax, if there is one, then a share in what was paid, which has one level l: an agent
is offered floor(l) or floor(l) + 1 units and takes what it can hold. The level is such that the population's
mean karma is what it is to be. At the end of a trip, and after a dormant step, an agent is dormant with the
game's probability, else begins a trip at random.

It is an *approximation for large populations*, and no limit: capacities, and so queues, stay finite. It
leaves out that an agent who waits learns how crowded it is, that the numbers at neighbouring lanes hang
together (who got in arrives at the next lane with others), that the agent itself takes part in what the
others meet, and that the surplus differs from step to step. How much that is, is measured in play: with
capacities of 9 and 1000 agents efficiency is within two percent.

Differences from a population that is played:
    With redistribution by lane or a congestion tax, how crowded it was depends on whether an agent got in,
    but not on its bid; what is paid for a lane is shared at a level that is the same in every step.
"""

from karma_envs.games.grid_city.mean_field.lanes import BidClasses, LaneField, looks_at_accesses
from karma_envs.games.grid_city.mean_field.model import CityMeanField
from karma_envs.games.grid_city.mean_field.problem import CityProblem
from karma_envs.games.grid_city.mean_field.queueing import QUEUEING
from karma_envs.games.grid_city.mean_field.throughput import FLUID, POISSON, Throughput

__all__ = [
    "BidClasses",
    "CityMeanField",
    "CityProblem",
    "FLUID",
    "LaneField",
    "POISSON",
    "QUEUEING",
    "Throughput",
    "looks_at_accesses",
]
