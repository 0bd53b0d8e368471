"""The game put to the peers of ``peers.py``, and their solvers and ours by name.

Each solver is an iterator of policies ``[1, X, A]``: the one that it begins with, and one per iteration. The
game is the default one: pay bid to peer, U = {1, 5} equally likely, gamma = .98, karma_max 20, mean karma 10.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

CAP, MEAN, URGENCIES, DISCOUNT = 20, 10, (1.0, 5.0), 0.98
HORIZON = 100


class Moves:
    """What a pair's contest does to one's karma, as tables for NumPy or PyTorch.

    The peers ask for the probabilities of the next state, and how they are computed is up to the user:
    here by two products of matrices, so that what is measured is the peer and not this benchmark.
    """

    def __init__(self, array: Callable[[Any], Any]) -> None:
        import numpy as np

        n = CAP + 1
        outcome = np.zeros((n, n, n, 2, n))  # [other's bid, karma, bid, lost or won, karma after payment]
        for other in range(n):
            for karma in range(n):
                for action in range(n):
                    bid = min(action, karma)
                    won = 0.5 if bid == other else float(bid > other)
                    outcome[other, karma, action, 1, karma - bid] += won
                    outcome[other, karma, action, 0, karma + min(other, CAP - karma)] += 1 - won
        offers = np.arange(n + 1)
        after = np.minimum(np.arange(n) + offers[:, None], CAP)
        self.outcome = array(outcome.reshape(n, -1))
        self.shared = array(np.eye(n)[after])
        self.taken = array((after - np.arange(n)).astype(float))
        self.karma = array(np.arange(n, dtype=float))
        self.folded = array(
            np.eye(n)[np.minimum(np.arange(n), np.arange(n)[:, None])]
        )  # [karma, action, bid]

    def bids(self, joint: Any) -> Any:
        """The distribution of bids in a population ``[K, A]``."""
        return joint.reshape(-1) @ self.folded.reshape(-1, CAP + 1)

    def lost(self, joint: Any) -> Any:
        """P(lost | karma, bid), ``[K, A]``, among a population ``[K, A]``."""
        bids = self.bids(joint)
        return 1 - self.folded @ (bids.cumsum(0) - bids / 2)

    def __call__(self, joint: Any) -> Any:
        """P(lost or won, next karma | karma, bid), ``[K, A, 2, K]``, among a population ``[K, A]``."""
        n = CAP + 1
        moves = (self.bids(joint) @ self.outcome).reshape(n, n, 2, n)
        before_sharing = (joint.reshape(-1) @ moves.reshape(n * n, 2 * n)).reshape(2, n).sum(0)
        surplus = joint.sum(1) @ self.karma - before_sharing @ self.karma
        taken = self.taken @ before_sharing
        whole = min(max(int((taken <= surplus).sum()) - 1, 0), CAP - 1)
        part = (surplus - taken[whole]) / (taken[whole + 1] - taken[whole])
        return moves @ ((1 - part) * self.shared[whole] + part * self.shared[whole + 1])


def karma_game_library(
    hyper_lambda: float, hyper_dt: float, hyper_nu: float, threshold: float
) -> Iterator[Any]:
    """Elokda's dynamics as the package runs them, with the karma and the bids that there are held fixed."""
    import karma_game_library as peer
    import numpy as np

    moves = Moves(np.asarray)
    parameters = peer.GameParameters(
        num_agents=2,
        num_participants=2,
        num_types=1,
        num_urgencies=len(URGENCIES),
        num_outcomes=2,
        num_average_karma=MEAN,
        map_type_temp_preference={0: DISCOUNT},
        lst_init_types=[0, 0],
        lst_init_urgencies=[0, 1],
        lst_init_karmas=[MEAN, MEAN],
        func_cost=lambda urgency, outcome: 0.0 if outcome else URGENCIES[urgency],
        func_outcome=peer.templates.outcome.highest_bid,
        func_payment=peer.templates.payment.highest_bid_to_peer,
        func_urgency_transition=peer.templates.urgency_transition.random,
        func_overflow_distribution=peer.templates.overflow_distribution.none,
        func_karma_redistribution=peer.templates.karma_redistribution.none,
    )
    # The cap: states and actions of the right number, and thresholds for more that are never reached.
    parameters._num_state_karmas = parameters._num_actions = CAP + 1
    parameters._set_state_karmas = parameters._set_actions = np.arange(CAP + 1)
    parameters._creation_thr_state = parameters._creation_thr_action = math.inf
    policy, state = peer.Policy(parameters), peer.StateDistribution(parameters)
    known: list[Any] = [None, None]  # the bids that the table of moves is for, and the table

    def transition(
        following: int,
        karma: int,
        action: int,
        outcome: int,
        dist: Any,
        prob: Any,
        _: Any,
        gamma: Any,
        v: Any,
    ) -> float:
        if known[0] is not v:
            known[:] = v, moves((dist[..., None] * prob).sum(axis=(0, 1)))
        chance = gamma[outcome][action]
        return known[1][karma, action, outcome, following] / chance if chance else 0.0

    optimizer = peer.Optimizer(
        parameters,
        hyper_lambda,
        hyper_dt,
        hyper_nu,
        peer.templates.p_outcome.highest_bid,
        transition,
        peer.templates.p_urgency_transition.random,
    )
    optimizer._hyper_infinite_horizon_reward_convergence_threshold = threshold
    while True:
        yield policy.prob_matrix.reshape(1, -1, CAP + 1)
        optimizer.compute_iteration(state, policy)


def mfglib_environment(horizon: int) -> Any:
    """The game with a horizon: an agent survives a step with probability gamma, and the dead stay dead.

    That is the discount. Bids above one's karma count as all of it.
    """
    import torch
    from mfglib.env import Environment

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    n, n_urgencies = CAP + 1, len(URGENCIES)
    moves = Moves(lambda table: torch.as_tensor(table))
    urgencies = torch.tensor(URGENCIES)
    living = n_urgencies * n

    def population(L: Any) -> Any:
        alive = L[:living].reshape(n_urgencies, n, n).sum(0)
        return alive / alive.sum()

    def reward(env: Any, t: int, L: Any) -> Any:
        losses = -(urgencies[:, None, None] * moves.lost(population(L))).reshape(living, n)
        return torch.cat([losses, torch.zeros(1, n)])

    def transition(env: Any, t: int, L: Any) -> Any:
        karma = moves(population(L)).sum(2).permute(2, 0, 1)  # [next, karma, action]
        kernel = DISCOUNT / n_urgencies * karma.repeat(n_urgencies, n_urgencies, 1)
        dying = torch.full((1, living, n), 1 - DISCOUNT)
        dead = torch.zeros(living + 1, 1, n)
        dead[-1] = 1.0
        return torch.cat([torch.cat([kernel, dying]), dead], dim=1)

    start = torch.zeros(living + 1)
    start[MEAN:living:n] = 1 / n_urgencies
    return Environment(
        T=horizon,
        S=(living + 1,),
        A=(n,),
        mu0=start,
        r_max=max(URGENCIES),
        reward_fn=reward,
        transition_fn=transition,
    )


def stationary_part(policy: Any, horizon: int) -> Any:
    """The policy in the middle, far from the start and from the end; bids above one's karma folded."""
    import numpy as np

    n = CAP + 1
    middle = np.asarray(policy[horizon // 2][:-1].detach()).reshape(-1, n, n)
    folded = np.eye(n)[np.minimum(np.arange(n), np.arange(n)[:, None])]
    return np.einsum("uka,kab->ukb", middle, folded).reshape(1, -1, n)


def mfglib(algorithm: str, horizon: int = HORIZON, **options: Any) -> Iterator[Any]:
    """An iterative algorithm of mfglib, without the exploitability that its ``solve`` computes."""
    import mfglib.alg
    import torch

    environment = mfglib_environment(horizon)
    solver = getattr(mfglib.alg, algorithm)(**options)
    shape = (horizon + 1, *environment.S, *environment.A)
    state = solver.init_state(environment, torch.full(shape, 1 / environment.n_actions))
    while True:
        yield stationary_part(state.pi, horizon)
        state = solver.step_next_state(state, None, None)


def mfglib_omo(horizon: int, **options: Any) -> Iterator[Any]:
    """MF-OMO, which has no step of its own to call: one step of its optimiser, anew two, four and so on."""
    import mfglib.alg

    environment = mfglib_environment(horizon)
    for doublings in itertools.count():
        policies, _, _ = mfglib.alg.MFOMO(**options).solve(
            environment, max_iter=2**doublings, atol=None, rtol=None
        )
        yield stationary_part(policies[-1], horizon)


SOLVERS: dict[str, tuple[str, Callable[[], Iterator[Any]]]] = {
    "karma-game-library": (
        "lambda = 1000, dt = 1, nu = .4, values to within a sum of 1",
        lambda: karma_game_library(1000.0, 1.0, 0.4, 1.0),
    ),
    "mfglib FictitiousPlay": ("alpha = 0: 1/n", lambda: mfglib("FictitiousPlay")),
    "mfglib OnlineMirrorDescent": ("alpha = 5", lambda: mfglib("OnlineMirrorDescent", alpha=5.0)),
    "mfglib PriorDescent": ("eta = .1, n_inner = 1", lambda: mfglib("PriorDescent", eta=0.1, n_inner=1)),
    "mfglib PriorDescent, horizon 40": (
        "eta = .3, n_inner = 1",
        lambda: mfglib("PriorDescent", 40, eta=0.3, n_inner=1),
    ),
    "mfglib MFOMO, horizon 20": ("defaults", lambda: mfglib_omo(20)),
}
OURS = {"homotopy": "defaults", "fictitious_play": "defaults"}


def model() -> Any:
    """The mean-field model that judges."""
    import karma_envs

    return karma_envs.make(
        "matching", karma_max=CAP, karma_mean=MEAN, urgencies=URGENCIES, discount=DISCOUNT
    ).mean_field()


def check_moves() -> None:
    """The probabilities that the peers get are those of this package's model."""
    import numpy as np

    judge, n = model(), CAP + 1
    policy = (judge.legal_actions / judge.legal_actions.sum(axis=1, keepdims=True))[None]
    mean_field = np.random.default_rng(0).dirichlet(np.ones(judge.n_states))[None]
    expected = judge.decision_problem(judge.statistic(mean_field, policy))
    moves, legal = Moves(np.asarray), judge.legal_actions[:n]
    joint = (mean_field[..., None] * policy).reshape(-1, n, n).sum(axis=0)
    kernel = expected.kernel.reshape(-1, n, n, len(URGENCIES), n)[0].sum(axis=2)
    np.testing.assert_allclose(moves(joint).sum(axis=2)[legal], kernel[legal], atol=1e-12)
    lost = -expected.reward.reshape(-1, n, n)[0] / URGENCIES[0]
    np.testing.assert_allclose(moves.lost(joint)[legal], lost[legal], atol=1e-12)
