"""One trial of a study: a point and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from agents.planners.space import Point

COMPLETE, FAILED = "complete", "failed"


@dataclass(frozen=True)
class Trial:
    """One trial of a study.

    Attributes:
        number: from 0, in the order in which points were chosen.
        batch: from 0; the points of a batch were chosen together, knowing what those before came to.
        point: the parameters; empty for the problem as it is.
        state: ``"complete"`` or ``"failed"``.
        seed: of the evaluation, or the first of several.
        warm_from: the trial whose end this one began with; None where it began anew.
        values: measures by name, means over seeds; empty if it failed.
        standard_errors: of them, where they are estimates.
        derivatives: of measures by parameters; None where they are not known.
        reach: see :class:`agents.planners.inner.Evaluation`.
        notes: of the evaluation; why it failed, if it did.
        seconds: wall time.
    """

    number: int
    batch: int
    point: Point
    state: str
    seed: int
    warm_from: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    standard_errors: Mapping[str, float] = field(default_factory=dict)
    derivatives: Mapping[str, Mapping[str, float]] | None = None
    reach: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    notes: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def complete(self) -> bool:
        """Whether it was evaluated."""
        return self.state == COMPLETE

    def to_plain(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Trial:
        """The trial of plain data.

        Raises:
            TypeError: where it is none.
        """
        reach = {name: (low, high) for name, (low, high) in plain["reach"].items()}
        return cls(**{**plain, "reach": reach})
