"""A page for every game: what theory says of it, what play makes of that, and what learning comes to.

Of a game with a mean-field model three things are put beside each other: the equilibrium of infinitely many
agents, as :func:`agents.solve` finds it; the same policy played by the N agents of the game; and what agents
learn from play who know nothing. Of a cooperative game the planner's optimum takes the place of the
equilibrium, and a planner who knows nothing learns.

Of each the mean reward of an agent in a step is told, and what an agent would gain in a step by a best
response. Both are compared with the size of rewards, the mean of |r| over agents and steps where theory is
played: where agents compete all profits away, as in the auction, their payoff is no unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from agents import solve
from agents.solvers.control.integrated_q import integrated_q
from agents.solvers.control.kernel_q import kernel_q
from agents.solvers.control.population import GamePopulation, follow
from karma_envs import make, names
from karma_envs.finite import FiniteGame
from karma_envs.game import PopulationGame
from karma_envs.mean_field import MeanFieldModel
from karma_envs.outcome import EFFICIENCY, summarise
from karma_envs.registry import game_class
from karma_envs.transitions import chunks
from training.benchmark.measure import gain_of_deviating
from training.common.figures import COLOURS, new_figure
from training.common.tables import Row
from training.evaluation.play import as_played, play
from training.reproduction.experiment import Experiment, Published
from training.reproduction.reproduce import announcer
from training.reproduction.shared_runs import kept_run
from training.runs.config import TrainConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_THEORY, _SIMULATED, _LEARNED = _CASES = ("theory", "simulated", "learned")

_STEPS = {"quick": 2000, "full": 20_000}
"""Steps that a policy is measured for, by scale."""
_LED_STEPS = {"quick": 200, "full": 1000}
"""Steps that a population is led for: a planner thinks about each of them, and after a few it rests."""
_SIZE_STEPS = 300
"""Steps over which the size of rewards is measured."""
_NET_STEPS = {"quick": 4, "full": 8}
"""1/eps of the net on which a planner learns, by scale."""


@dataclass(frozen=True)
class _Tolerance:
    """How far from theory confirms it, over the size of rewards, and why."""

    value: float
    reason: str


@dataclass(frozen=True)
class _Page:
    """What is compared, and how it is learned.

    Attributes:
        game: its name.
        preset: of the game.
        training: fields that differ from how ``karma-envs train`` trains the game.
        quick: fields that differ besides at quick scale.
        method: of :func:`agents.solve`, which learns from play, with its options, where agents are not
            trained.
        simulated: tolerance of the reward of theory's policy, played.
        learned: tolerance of the reward of what is learned.
        gain: tolerance of what a best response to what is learned gains; None where agents aim together.
        note: what to know when reading the page.
    """

    game: str
    preset: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    method: tuple[str, Mapping[str, Any]] | None = None
    simulated: _Tolerance = _Tolerance(0.02, "N agents differ from infinitely many")
    learned: _Tolerance = _Tolerance(0.05, "who learns from finitely many steps errs")
    gain: _Tolerance | None = _Tolerance(0.05, "who learns from finitely many steps errs")
    note: str = ""

    @property
    def name(self) -> str:
        """As in the experiment's name."""
        return "-".join([self.game.replace("_", "-"), *([self.preset] if self.preset else [])])

    @property
    def title(self) -> str:
        """In words."""
        return self.name.replace("-", " ")

    def make(self) -> PopulationGame:
        """The game."""
        return make(self.game, preset=self.preset)


_PAGES = (
    _Page(
        "auction",
        training={
            "rationality": 200.0,
            "exploration": 0.005,
            "initial_q": 0.3,
            "n_steps": 200_000,
            "learning_rate_final": 0.0005,
            "learning_rate_schedule": "exponential",
        },
        quick={"n_steps": 50_000},
        note=(
            "Bidders learn with softmax(200 Q), which is nearer to an equilibrium than the source's "
            "softmax(4 Q), with which the game is trained unless told otherwise. They begin with Q = .3, a "
            "little above what they come to: from 0 they hardly try what seems worse, bid less, and end .08 "
            "above theory."
        ),
    ),
    _Page("lq_regulator", quick={"n_steps": 5000}),
    _Page("malware"),
    _Page(
        "malware",
        "team",
        method=("spsa", {"perturbation": 0.05, "common_random_numbers": True}),
        gain=None,
        note="A team gains by what no single agent does: at its optimum, agents gain by leaving it.",
    ),
    _Page(
        "matching",
        training={"algorithm": "q_learning", "initial_q": -50.0, "exploration": 0.01, "n_steps": 8_000_000},
        quick={"n_steps": 2_000_000},
        note=(
            "Agents begin with Q = -50, a little above what they come to, and explore in a hundredth of the "
            "steps. The source's training, from Q = 0 with a twentieth, ends at a reward of -1.109."
        ),
    ),
    _Page(
        "meeting_time",
        quick={"n_steps": 5000},
        note=(
            "Payoffs are flat: of agents who expect a start at 1.8, where theory has 2.053, none gains .001 "
            "of the size by coming at another time, though all suffer .05 less, and they make it start at "
            "1.91. Learning comes near that slowly. With N = 100 the quorum's arrival is spread out, and "
            ".027 earlier on average than with infinitely many."
        ),
    ),
    _Page(
        "spatial_congestion",
        quick={"n_steps": 500, "n_agents": 500},
        gain=_Tolerance(0.1, "a best response to a density that is estimated gains .027 where none should"),
        note=(
            "The density that agents meet is estimated from them and too smooth; a best response, which is "
            "the best of all places, finds where: in the equilibrium itself it gains .027."
        ),
    ),
    _Page(
        "supply",
        quick={"n_steps": 9000},
        learned=_Tolerance(0.08, "of it .03 is the noise that the actor has left; errors of 30 moves add up"),
        gain=_Tolerance(0.08, "as the reward"),
    ),
    _Page("two_state_control", gain=None),
)
"""Pages of which more is to be said than which game they are of."""


class _Seen(NamedTuple):
    """Mean reward of an agent in a step, its standard error, and what a best response gains in a step."""

    reward: float
    standard_error: float
    gain: float


def _row(case: str, seen: _Seen, theory: float, size: float) -> Row:
    """A row of results."""
    return {
        "case": case,
        "reward": seen.reward,
        "reward_se": seen.standard_error,
        "off_theory": (seen.reward - theory) / size,
        "gain": seen.gain / size,
    }


def _discounted_length(game: PopulationGame) -> float:
    """What a reward of 1 in each step comes to: payoffs over this are per step."""
    discount = float(game.discounts[game.type_of_agent].mean())
    return 1 / (1 - discount) if game.length is None else float((discount ** np.arange(game.length)).sum())


def _learn(page: _Page, scale: str, seed: int) -> tuple[PopulationGame, Any]:
    """Learn in a game, from play alone: the game that is played, and what is played there."""
    if page.method is not None:
        game = page.make()
        method, options = page.method
        return game, as_played(game, solve(game, method, seed=seed, **options).policy)
    fields = {**page.training, **(page.quick if scale == "quick" else {}), "seed": seed}
    config = TrainConfig.from_flat(page.game, page.preset, fields)
    run = kept_run(config, f"agreement-{page.name}-{scale}-{seed}")
    return run.game(), run.policy


def _played(game: PopulationGame, policy: Any, scale: str, seed: list[int]) -> _Seen:
    """What is seen of a policy that all agents of a game play."""
    played = play(game, policy, n_steps=_STEPS[scale], burn_in=_STEPS[scale] // 10, seed=seed)
    mean = summarise(played, (EFFICIENCY,))[EFFICIENCY.name]
    gain = gain_of_deviating(game, policy)
    in_a_step = np.nan if gain is None else gain.absolute / _discounted_length(game)
    return _Seen(mean.value, mean.standard_error, in_a_step)


def _size(game: PopulationGame, policy: Any, seed: list[int]) -> float:
    """The mean of |r| over agents and steps."""
    game.reset(np.random.default_rng(seed))
    sums = [np.abs(played.rewards).sum(dtype=np.float64) for _, played in chunks(game, policy, _SIZE_STEPS)]
    return float(np.sum(sums)) / (_SIZE_STEPS * game.n_agents)


def _of_agents(page: _Page, scale: str, seed: int) -> list[Row]:
    """Rows of a game whose agents each play a policy of their own state, which solvers and learners find."""
    announce = announcer()
    game = page.make()
    announce("theory")
    equilibrium = solve(game)
    policy = as_played(game, equilibrium.policy)
    theory, size = equilibrium.efficiency, _size(game, policy, [seed, 0])
    gain = equilibrium.exploitability / _discounted_length(game)
    rows = [_row(_THEORY, _Seen(theory, 0.0, gain), theory, size)]
    announce("simulation")
    rows.append(_row(_SIMULATED, _played(game, policy, scale, [seed, 1]), theory, size))
    announce("learning")
    learned = _learn(page, scale, seed)
    return [*rows, _row(_LEARNED, _played(*learned, scale, [seed, 2]), theory, size)]


def _led(game: FiniteGame, planner: Any, scale: str, seed: list[int]) -> _Seen:
    """What is seen of a population that a planner leads, who sees it and says what all do in a step."""
    game.reset(np.random.default_rng(seed))
    n_steps = _LED_STEPS[scale]
    rewards = follow(GamePopulation(game), planner.policy, n_steps).rewards[n_steps // 10 :]
    batches = np.array([batch.mean() for batch in np.array_split(rewards, 20)])
    return _Seen(float(rewards.mean()), float(batches.std(ddof=1) / np.sqrt(len(batches))), np.nan)


def _of_a_planner(page: _Page, game: FiniteGame, model: MeanFieldModel, scale: str, seed: int) -> list[Row]:
    """Rows of a game whose agents all do what a planner says."""
    announce = announcer()
    announce("theory")
    theory = solve(model, "mean_field_control").efficiency
    size = abs(theory)
    rows = [_row(_THEORY, _Seen(theory, 0.0, np.nan), theory, size)]
    announce("simulation")
    rows.append(_row(_SIMULATED, _led(game, integrated_q(model), scale, [seed, 1]), theory, size))
    announce("learning")
    game.reset(np.random.default_rng([seed, 2]))
    learned = kernel_q(model, population=GamePopulation(game), net_steps=_NET_STEPS[scale], seed=seed)
    return [*rows, _row(_LEARNED, _led(game, learned, scale, [seed, 3]), theory, size)]


def _run(page: _Page, scale: str, seed: int) -> list[Row]:
    game = page.make()
    model = game.mean_field()
    if game.cooperative and model is not None and isinstance(game, FiniteGame):
        return _of_a_planner(page, game, model, scale, seed)
    return _of_agents(page, scale, seed)


def _figure(page: _Page, rows: Sequence[Row]) -> Figure:
    """How far rewards are from theory's and what a best response gains; points are seeds, grey confirms."""
    figure, (rewards, gains) = new_figure(7.0, 2.8, 2)
    for panel, quantity in ((rewards, "off_theory"), (gains, "gain")):
        for place, case in enumerate(_CASES):
            values = [row[quantity] for row in rows if row["case"] == case]
            places = place + np.linspace(-0.1, 0.1, len(values)) if len(values) > 1 else [place]
            panel.plot(places, values, "o", markersize=3, color=COLOURS[place])
        panel.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        panel.set_xticks(range(len(_CASES)), _CASES)
        panel.set_xlim(-0.5, len(_CASES) - 0.5)
    for place, tolerance in ((1, page.simulated), (2, page.learned)):
        _band(rewards, place, tolerance)
    rewards.set(ylabel="reward, less theory's\nover size of rewards")
    gains.set(ylabel="gain of a best response\nover size of rewards")
    if page.gain is not None:
        _band(gains, 2, page.gain)
    if np.isnan([row["gain"] for row in rows]).all():
        gains.text(0.5, 0.6, "all do as a planner says", ha="center", transform=gains.transAxes)
        gains.set_yticks([])
    figure.suptitle(page.title)
    return figure


def _band(panel: Axes, place: int, tolerance: _Tolerance) -> None:
    """What is confirmed of a case."""
    bottom, height = -tolerance.value, 2 * tolerance.value
    panel.bar(place, height, 0.8, bottom=bottom, color="0.92", edgecolor="none", zorder=0)


def _experiment(page: _Page) -> Experiment:
    published = [
        Published(_SIMULATED, "off_theory", 0.0, page.simulated.value, page.simulated.reason),
        Published(_LEARNED, "off_theory", 0.0, page.learned.value, page.learned.reason),
    ]
    if page.gain is not None:
        published.append(Published(_LEARNED, "gain", 0.0, page.gain.value, page.gain.reason))
    return Experiment(
        name=f"agreement-{page.name}",
        title=f"{page.title}: theory, simulation and learning",
        source="ours; what theory says is in the docstring of the game",
        run=partial(_run, page),
        figures={"agreement": partial(_figure, page)},
        published=tuple(published),
        notes=(
            "`off theory` is the mean reward less that of theory, and `gain` what an agent gains in a step "
            "by a best response, both over the size of rewards: the mean of |r| over agents and steps "
            "where theory is played. Gains are exact where the game has tables, and measured in play, with "
            f"the model's best response, where it has none. {page.note}"
        ).strip(),
    )


def _pages() -> tuple[_Page, ...]:
    """Those above, and one for each other game that has a mean-field model."""
    listed = {page.game for page in _PAGES}
    others = (name for name in names() if name not in listed)
    modelled = (name for name in others if game_class(name).mean_field is not PopulationGame.mean_field)
    return (*_PAGES, *map(_Page, modelled))


EXPERIMENTS = tuple(map(_experiment, _pages()))
"""One for each game that has a mean-field model, and for its team."""
