"""Evaluators: how far policies are from an equilibrium, by estimate, and what theory says of a game."""

from agents.evaluators.city.lanes_in_play import LanesInPlay, count_lanes
from agents.evaluators.city.played import PlayedExploitability, played_exploitability
from agents.evaluators.exploitability.config import EstimatorConfig
from agents.evaluators.exploitability.convergence import PayoffEstimates, payoff_estimates, policy_distance
from agents.evaluators.exploitability.deviation import DeviationGain, deviation_gain
from agents.evaluators.exploitability.exact import ExploitabilityByAgent, exploitability_by_agent
from agents.evaluators.exploitability.one_at_a_time import one_at_a_time_exploitability
from agents.evaluators.exploitability.parallel import parallel_exploitability
from agents.evaluators.exploitability.population import PopulationPlay, average_policy, play_in_population
from agents.evaluators.exploitability.relearning import relearning_gain
from agents.evaluators.exploitability.result import EstimatedExploitability
from agents.evaluators.exploitability.simulated import SimulatedExploitability, simulated_exploitability
from agents.evaluators.few_agents.finite_exploitability import FiniteExploitability, finite_exploitability
from agents.evaluators.few_agents.law import FiniteSizeLaw, finite_size_law
from agents.evaluators.few_agents.simulated_bound import SimulatedBound, simulated_bound
from agents.evaluators.theory.lasry_lions import (
    Counterexample,
    bid_monotonicity_sum,
    counterexample,
    counterexample_of,
    lasry_lions_sum,
)
from agents.evaluators.theory.lipschitz import Lipschitz, lipschitz_constants, lipschitz_of
from agents.evaluators.theory.mirror_ascent import (
    MirrorAscent,
    RegularisedEquilibrium,
    Violations,
    contractivity_violations,
    monotonicity_violations,
)
from agents.evaluators.theory.sublinearity import Sublinearity, sublinearity_in, sublinearity_of

MonitorConfig = EstimatorConfig
"""What the configuration of estimates was called before."""

__all__ = [
    "FiniteSizeLaw",
    "SimulatedBound",
    "finite_size_law",
    "simulated_bound",
    "Counterexample",
    "DeviationGain",
    "EstimatedExploitability",
    "EstimatorConfig",
    "ExploitabilityByAgent",
    "FiniteExploitability",
    "LanesInPlay",
    "Lipschitz",
    "MirrorAscent",
    "MonitorConfig",
    "PayoffEstimates",
    "PlayedExploitability",
    "PopulationPlay",
    "RegularisedEquilibrium",
    "SimulatedExploitability",
    "Sublinearity",
    "Violations",
    "average_policy",
    "bid_monotonicity_sum",
    "contractivity_violations",
    "count_lanes",
    "counterexample",
    "counterexample_of",
    "deviation_gain",
    "exploitability_by_agent",
    "finite_exploitability",
    "lasry_lions_sum",
    "lipschitz_constants",
    "lipschitz_of",
    "monotonicity_violations",
    "one_at_a_time_exploitability",
    "parallel_exploitability",
    "payoff_estimates",
    "play_in_population",
    "played_exploitability",
    "policy_distance",
    "relearning_gain",
    "simulated_exploitability",
    "sublinearity_in",
    "sublinearity_of",
]
