"""Lipschitz constants of the mean-field matching game, and of policy mirror ascent on it.

Source: Thesis, section 5.1.1, equations 5.1, 5.2, 5.4 and "Convergence conditions", after Yardim et al.
2023 (its [18]). Distances of urgencies, karma and bids are discrete (0 or 1), of distributions L1.

With gamma = .9, u_max = 1, pay bid to peer, L_pop = 0 and dh = 0 the formulas as printed give L_Gamma =
126 exactly: L_vs = 2/(1-.9) = 20, L_vpi = (4 + .9*2*20)/.4 = 100, L_qpi = .9*100 + .9*20*2 = 126. The
reading: the last term of L_qpi has K_a = 2 itself, not K_a/2 as the analogous term of L_qrho has it.

Differences from the source:
    L_Gamma / strength < 1 is asked for, with equality excluded; for h = entropy / beta the strength is
    1/beta, the temperature that the Thesis speaks of, so that beta < 1/126.
    The Thesis' karma has no cap. With one, what an agent is given depends on how much others could not
    take, and K_rho can exceed 1 and 2 k_max + 1 where many are at the cap and the surplus is shared. L_Gamma
    with L_pop = 0 does not contain it.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.evaluators.theory.matching import as_matching, only_type
from karma_envs.config import choice, real, refusal, whole
from karma_envs.mean_field import MeanFieldModel


@dataclass(frozen=True)
class Lipschitz:
    """Lipschitz constants of rewards, transitions, values and of the update of policies.

    Attributes:
        reward_state: L_s = L_u = u_max (eq. 5.1).
        reward_action: L_a = L_b = u_max.
        reward_population: L_rho = L_nu = u_max.
        transition_state: K_s = 2 (eq. 5.2).
        transition_action: K_a = K_b = 2.
        transition_population: K_rho = K_nu: 1 for pay bid to peer (eq. 5.2), 2 k_max + 1 for pay bid to
            society (eq. 5.4).
        value_state: L_vs, of the value in the state.
        value_policy: L_vpi, of the value in the policy.
        value_population: L_vrho, of the value in the population.
        q_population: L_qrho.
        q_policy: L_qpi.
        update: L_Gamma of the unregularised update; a strength of regularisation above it makes policy
            mirror ascent a contraction.
    """

    reward_state: float
    reward_action: float
    reward_population: float
    transition_state: float
    transition_action: float
    transition_population: float
    value_state: float
    value_policy: float
    value_population: float
    q_population: float
    q_policy: float
    update: float


_RULES = ("highest_bid", ("pay_bid_to_peer", "pay_bid_to_society"), "uniform")


def lipschitz_of(model: MeanFieldModel) -> Lipschitz:
    """The constants of a matching game, with L_pop = 0 and dh = 0, by its mean-field model.

    Raises:
        ConfigError: for another game's model, one of several types of agents, or of rules that the Thesis
            has no constants for.
    """
    matching = as_matching(model)
    config, one = matching.config, only_type(matching)
    allocation, payments, redistribution = _RULES
    rules = config.allocation, config.payment, config.redistribution
    if rules not in [(allocation, payment, redistribution) for payment in payments]:
        raise refusal(
            "rules",
            ", ".join(map(str, rules)),
            f"{allocation} with {' or '.join(payments)} and {redistribution} redistribution, whose constants "
            "are known",
        )
    return lipschitz_constants(one.discount, max(one.urgencies), str(config.payment), config.karma_max)


def lipschitz_constants(
    discount: float = 0.98,
    urgency_max: float = 5.0,
    payment: str = "pay_bid_to_peer",
    karma_max: int = 20,
    *,
    population: float = 0.0,
    entropy_range: float = 0.0,
) -> Lipschitz:
    """The constants of a matching game, by its numbers.

    Args:
        discount: gamma in [0, 1).
        urgency_max: u_max >= 0.
        payment: pay_bid_to_peer or pay_bid_to_society.
        karma_max: k_max >= 1.
        population: L_pop >= 0 of the stable population operator; the Thesis bounds L_Gamma from below by 0.
        entropy_range: dh >= 0, the allowed range of the regulariser; likewise.

    Raises:
        ConfigError: for a value outside these ranges.
    """
    choice("payment", payment, _RULES[1])
    gamma = real("discount", discount, 0, 1, open_high=True)
    karma_max = whole("karma_max", karma_max, 1)
    population = real("population", population, 0)
    entropy_range = real("entropy_range", entropy_range, 0)
    l_s = l_a = l_rho = real("urgency_max", urgency_max, 0)
    k_s = k_a = 2.0
    k_rho = 1.0 if payment == "pay_bid_to_peer" else 2.0 * karma_max + 1
    l_vs = (l_s + l_a + entropy_range) / (1 - gamma * min(1.0, (k_s + k_a) / 2))
    l_vpi = (4 * l_a + gamma * k_a * l_vs) / (4 * (1 - gamma))
    l_vrho = (2 * l_rho + gamma * k_rho * l_vs) / (2 * (1 - gamma))
    l_qrho = l_rho + gamma * l_vrho + gamma * l_vs * k_rho / 2
    l_qpi = gamma * l_vpi + gamma * l_vs * k_a
    return Lipschitz(
        reward_state=l_s,
        reward_action=l_a,
        reward_population=l_rho,
        transition_state=k_s,
        transition_action=k_a,
        transition_population=k_rho,
        value_state=l_vs,
        value_policy=l_vpi,
        value_population=l_vrho,
        q_population=l_qrho,
        q_policy=l_qpi,
        update=population * l_qrho + l_qpi,
    )
