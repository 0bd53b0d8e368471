"""What a temporal-difference learner learns towards: the one thing in which the algorithms differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from karma_envs.finite import ILLEGAL
from karma_envs.plugins import defined_in

__all__ = ["ILLEGAL", "Target", "targets"]


@dataclass(frozen=True)
class Target:
    """An estimate of the value of where an agent went.

    Attributes:
        name: as it stands in a configuration.
        value: a jitted function ``value(q, thresholds, row, observation, action)`` of the Q table
            ``float32[rows, observations, width]``, the policy's thresholds, the row, and the next
            observation and action; illegal entries of ``q`` are below :data:`ILLEGAL`.
        needs_next_action: whether ``action`` matters, so that the last transition of a rollout waits
            for the first action of the next.
    """

    name: str
    value: Callable[..., Any]
    needs_next_action: bool


@cache
def targets() -> dict[str, Target]:
    """The learning algorithms by name: each file of this folder that defines a ``TARGET``."""
    return {target.name: target for target in defined_in(__name__, "TARGET").values()}
