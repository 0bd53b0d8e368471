"""Points spread evenly: the first that a search tries, before it knows anything."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from agents.planners.space import Point
from agents.planners.study import Study

_MOST_SKIPPED = 10_000


def spread(study: Study) -> Iterator[Point]:
    """The points of an additive recurrence from a random start, those that constraints forbid left out.

    x_n = x_0 + n (1/g, 1/g^2, …) mod 1, with g the root of g^(P+1) = g + 1: the golden ratio for one
    parameter (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences").

    Raises:
        ConfigError: when constraints allow none of many points.
    """
    space, size = study.space, len(study.space.parameters)
    rng = np.random.default_rng(study.seed_of())
    root = 2.0
    for _ in range(100):  # a contraction, by less than a half
        root = (1.0 + root) ** (1.0 / (size + 1))
    place, steps = rng.random(size), root ** -np.arange(1.0, size + 1)
    skipped = 0
    while skipped < _MOST_SKIPPED:
        point = space.at(place)
        place = (place + steps) % 1.0
        if space.allows(point):
            skipped = 0
            yield point
        else:
            skipped += 1
    while True:  # where the constraints leave so little, chance may still meet it, or says why not
        yield space.draw(rng)
