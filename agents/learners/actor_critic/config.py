"""Configuration of the actor–critic learner."""

from __future__ import annotations

from dataclasses import dataclass

from karma_envs.config import Config, choice, real, whole

DEVICES = ("auto", "cpu", "cuda")
"""Where the networks are: auto for a GPU if there is one."""


@dataclass(frozen=True)
class ActorCriticConfig(Config):
    """Configuration of the actor–critic learner; variance and learning rates are the source's.

    Attributes:
        hidden_units: of each of the two hidden layers of the actor and of the critic.
        actor_learning_rate: step size of the actor (Adam); the source has 1e-3, and 1e-4 in games of one
            step.
        critic_learning_rate: step size of the critic (Adam).
        learning_rate_left: share of both step sizes that is left at the end of the run, to which they fall
            in equal ratios; 1 for constant ones.
        action_variance: of the actor's Gaussian, in each dimension of an action.
        action_variance_final: of the actor at the end of the run, to which it goes in equal ratios; none for
            one that is constant.
        trace_decay: lambda of advantages and of the critic's targets, TD(lambda); 0 for the source's TD.
        critic_steps: steps of the critic for each step of the actor, which there is one of per epoch.
        standardise_advantages: whether advantages of an epoch are brought to mean 0 and spread 1.
        belief_exponent: of time in the rate n^-exponent at which beliefs of the population move, in games
            with a statistic, see :meth:`karma_envs.exchangeable.ExchangeableGame.believing`; none to meet
            the population as it is.
        belief_rate: the rate's factor.
        observe_time: whether agents observe how much is over of a game of several steps that ends.
        device: auto (a GPU if there is one), cpu or cuda.

    Raises:
        ConfigError: naming the field, the value and what is allowed.
    """

    hidden_units: int = 64
    actor_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    learning_rate_left: float = 1.0
    action_variance: float = 0.1
    action_variance_final: float | None = None
    trace_decay: float = 0.95
    critic_steps: int = 4
    standardise_advantages: bool = True
    belief_exponent: float | None = None
    belief_rate: float = 1.0
    observe_time: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        def positive(name: str, most: float) -> float:
            return real(name, getattr(self, name), 0, most, open_low=True)

        self._set(
            hidden_units=whole("hidden_units", self.hidden_units, 1, 4096),
            actor_learning_rate=positive("actor_learning_rate", 1),
            critic_learning_rate=positive("critic_learning_rate", 1),
            learning_rate_left=positive("learning_rate_left", 1),
            action_variance=positive("action_variance", 1e6),
            trace_decay=real("trace_decay", self.trace_decay, 0, 1),
            critic_steps=whole("critic_steps", self.critic_steps, 1, 10_000),
            belief_rate=positive("belief_rate", 1),
            device=choice("device", self.device, DEVICES),
        )
        if self.action_variance_final is not None:
            self._set(action_variance_final=positive("action_variance_final", 1e6))
        if self.belief_exponent is not None:
            self._set(belief_exponent=real("belief_exponent", self.belief_exponent, 0, 1))

    def rate_left(self, progress: float) -> float:
        """Share of the step sizes that is left when a share ``progress`` of the run is done."""
        return float(self.learning_rate_left**progress)

    def variance(self, progress: float) -> float:
        """Variance of the actor when a share ``progress`` of the run is done."""
        final = self.action_variance if self.action_variance_final is None else self.action_variance_final
        return float(self.action_variance * (final / self.action_variance) ** progress)

    @property
    def exploration(self) -> float:
        """0: nothing is played uniformly at random, the actor's own variance explores."""
        return 0.0

    @property
    def schedule(self) -> str:
        """How what is learned depends on the length of a run; constant where it does not."""
        is_constant = self.learning_rate_left == 1 and self.action_variance_final is None
        return "constant" if is_constant else "exponential"
