"""What was played, by column, and playing on in pieces of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

if TYPE_CHECKING:
    from karma_envs.game import PopulationGame

MOST_BYTES = 16_000_000
"""Memory that the transitions of one chunk may take, unless it is told otherwise."""


class Columns(NamedTuple):
    """The arrays of :class:`Transitions`, as kernels take them."""

    observations: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]


@dataclass(frozen=True)
class Transitions:
    """What happened in T steps of N agents, by column (the Thesis' data buffer, section 3.2).

    Attributes:
        observations: ``[T+1, N]``, what each agent observed before each step, and after the last. In a game
            with finite observations ``uint16``, their numbers; in others ``float32[T+1, N, d]``.
        actions: ``[T, N]``, ``uint16`` where actions are numbered, else ``float32[T, N, k]``.
        rewards: ``float32[T, N]``.
        ended: whether the game was over after the last of these steps, so that no reward comes after it.
    """

    observations: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[np.float32]
    ended: bool = False

    @classmethod
    def empty(
        cls,
        n_steps: int,
        n_agents: int,
        observation: DTypeLike = np.uint16,
        action: DTypeLike = np.uint16,
    ) -> Transitions:
        """Room for ``n_steps`` steps of ``n_agents`` agents.

        Args:
            n_steps: T.
            n_agents: N.
            observation: of one agent, as a dtype with its shape: ``np.uint16``, or ``(np.float32, (d,))``.
            action: the same of an action.
        """
        return cls(
            np.empty((n_steps + 1, n_agents), np.dtype(observation)),
            np.empty((n_steps, n_agents), np.dtype(action)),
            np.empty((n_steps, n_agents), np.float32),
        )

    @property
    def columns(self) -> Columns:
        """The arrays, for a kernel."""
        return Columns(self.observations, self.actions, self.rewards)

    @property
    def bytes_per_step(self) -> int:
        """Memory that a step takes."""
        return sum(column.itemsize * int(np.prod(column.shape[1:])) for column in self.columns)

    def first(self, n_steps: int) -> Transitions:
        """The first ``n_steps`` steps, as views on the same arrays, not marked as ended.

        Raises:
            ValueError: when there are fewer, or when there is no step.
        """
        if not 1 <= n_steps <= len(self):
            raise ValueError(
                f"n_steps = {n_steps} do not fit in out, which has room for {len(self)} steps; "
                "at least one step must be played"
            )
        return replace(self[:n_steps], ended=False)

    def check(self, n_agents: int, observation: DTypeLike = np.uint16, action: DTypeLike = np.uint16) -> None:
        """Refuse arrays that kernels would read or write beyond their ends, or in which numbers wrap.

        Args:
            n_agents: N.
            observation: of one agent, as in :meth:`empty`.
            action: the same of an action.

        Raises:
            ValueError: naming the array.
        """
        n_steps = len(self)
        for name, item, length in (
            ("observations", np.dtype(observation), n_steps + 1),
            ("actions", np.dtype(action), n_steps),
            ("rewards", np.dtype(np.float32), n_steps),
        ):
            array, shape = getattr(self, name), (length, n_agents, *item.shape)
            if array.shape != shape or array.dtype != item.base:
                raise ValueError(
                    f"transitions of {n_steps} steps of {n_agents} agents have {name} "
                    f"{item.base}{list(shape)}; these are {array.dtype}{list(array.shape)}"
                )

    def of_agents(self, agents: NDArray[Any]) -> Transitions:
        """The transitions of some of the agents, by index or mask; new arrays."""
        return Transitions(
            self.observations[:, agents], self.actions[:, agents], self.rewards[:, agents], self.ended
        )

    def __len__(self) -> int:
        return len(self.actions)

    def __getitem__(self, steps: slice) -> Transitions:
        """The first ``steps.stop`` steps, as views on the same arrays (only ``[:n]`` is allowed)."""
        if steps.start not in (None, 0) or steps.step not in (None, 1):
            raise IndexError("transitions can only be cut as [:n]")
        n_steps = len(range(*steps.indices(len(self))))
        return Transitions(
            self.observations[: n_steps + 1],
            self.actions[:n_steps],
            self.rewards[:n_steps],
            self.ended and n_steps == len(self),
        )


def even_parts(n_steps: int, parts: int) -> list[int]:
    """``n_steps`` steps in so many parts, no two of which differ by more than one; the sum is ``n_steps``."""
    bounds = np.linspace(0, n_steps, parts + 1).round().astype(int)
    return [int(length) for length in np.diff(bounds)]


def chunk_length(game: PopulationGame, n_steps: int, most_bytes: int = MOST_BYTES) -> int:
    """How many of ``n_steps`` steps of a game fit in memory at once; at least one."""
    return max(1, min(n_steps, most_bytes // game.transitions(0).bytes_per_step))


def chunks(
    game: PopulationGame,
    policy: Any,
    n_steps: int,
    *,
    most_bytes: int = MOST_BYTES,
    out: Transitions | None = None,
) -> Iterator[tuple[int, Transitions]]:
    """Play on for ``n_steps`` steps, in pieces of bounded memory.

    A policy that changes while the pieces are taken is played as it is when the next piece begins. Where the
    game ends a piece ends, and the next one begins the game anew.

    Args:
        game: any game that has begun.
        policy: what its agents play.
        n_steps: how many steps in all; for 0 there is no piece.
        most_bytes: memory that a piece's transitions may take, though one step is always played.
        out: where to write, for who plays often; a piece is then as long as it, whatever ``most_bytes`` is.

    Yields:
        how many steps were played before the piece, and its transitions. The next piece is written over
        them.
    """
    if n_steps < 1:
        return
    room = game.transitions(chunk_length(game, n_steps, most_bytes)) if out is None else out
    done = 0
    while done < n_steps:
        chunk = game.rollout(policy, min(n_steps - done, len(room)), out=room)
        yield done, chunk
        done += len(chunk)


def play_on(game: PopulationGame, policy: Any, n_steps: int) -> None:
    """Play on for ``n_steps`` steps and forget what happened, so that states settle; see :func:`chunks`."""
    for _ in chunks(game, policy, n_steps):
        continue
