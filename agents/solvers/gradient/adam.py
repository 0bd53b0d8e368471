"""Adam: gradient steps whose size is about the learning rate, whatever the gradient is measured in.

Source: D. P. Kingma, J. Ba, *Adam: a method for stochastic optimization*, ICLR 2015, Algorithm 1.

Differences from the source:
    It climbs: what is added is the step, not what is subtracted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Adam:
    """The state of Adam for p parameters.

        m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2,   step = alpha m' / (sqrt(v') + e),

    where m' = m / (1 - b1^t) and v' = v / (1 - b2^t) after t gradients.

    Args:
        size: p.
        learning_rate: alpha > 0.
        first_decay: b1, of the mean of the gradients.
        second_decay: b2, of the mean of their squares.
        least_scale: e, what keeps steps finite where gradients are 0.
    """

    def __init__(
        self,
        size: int,
        learning_rate: float = 0.01,
        *,
        first_decay: float = 0.9,
        second_decay: float = 0.999,
        least_scale: float = 1e-8,
    ) -> None:
        self.learning_rate, self.least_scale = learning_rate, least_scale
        self._decays = np.array([[first_decay], [second_decay]])
        self._moments, self._gradients = np.zeros((2, size)), 0

    def step(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        """What to add to the parameters, ``float64[p]``, after one more gradient, ``float64[p]``."""
        self._gradients += 1
        self._moments += (1 - self._decays) * (np.stack([gradient, gradient**2]) - self._moments)
        # The moments began at 0 and are too small by these factors.
        mean, square = self._moments / (1 - self._decays**self._gradients)
        return np.asarray(self.learning_rate * mean / (np.sqrt(square) + self.least_scale))
