"""A small network in PyTorch with its optimiser: all of its numbers in a few flat arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.policies.gaussian import Layer


class Network:
    """A fully connected network, with tanh after each layer but the last, and Adam.

    All weights are one vector, so that they, and what Adam knows of each, are saved as three arrays.

    Args:
        widths: inputs, hidden layers, outputs.
        rng: draws the weights: normal, of variance 1 over a layer's inputs. Biases are 0.
        last_scale: factor of the last layer's weights.
        device: where it is.
    """

    def __init__(
        self, widths: Sequence[int], rng: np.random.Generator, *, last_scale: float, device: torch.device
    ) -> None:
        self._widths = list(pairwise(widths))
        parts: list[NDArray[np.float64]] = []
        for number, (inputs, outputs) in enumerate(self._widths, start=1):
            scale = (last_scale if number == len(self._widths) else 1.0) / math.sqrt(inputs)
            parts += [scale * rng.standard_normal(inputs * outputs), np.zeros(outputs)]
        start = torch.from_numpy(np.concatenate(parts).astype(np.float32)).to(device)
        self._weights = start.requires_grad_()
        self._adam = torch.optim.Adam([self._weights])
        # as Adam begins, so that there is a state to save before its first step
        self._known: dict[str, torch.Tensor] = {
            "step": torch.zeros((), dtype=torch.float32),
            "exp_avg": torch.zeros_like(start, requires_grad=False),
            "exp_avg_sq": torch.zeros_like(start, requires_grad=False),
        }
        self._adam.state[self._weights] = self._known

    def _layers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Weights ``[inputs, outputs]`` and biases of each layer, as views."""
        layers, start = [], 0
        for inputs, outputs in self._widths:
            middle, end = start + inputs * outputs, start + (inputs + 1) * outputs
            layers.append((self._weights[start:middle].view(inputs, outputs), self._weights[middle:end]))
            start = end
        return layers

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """``float32[..., outputs]`` for inputs ``float32[..., inputs]``."""
        *hidden, (weights, biases) = self._layers()
        values = inputs
        for layer_weights, layer_biases in hidden:
            values = torch.tanh(values @ layer_weights + layer_biases)
        return values @ weights + biases

    def descend(self, loss: torch.Tensor, learning_rate: float) -> None:
        """One step of Adam down the gradient of a loss."""
        self._adam.param_groups[0]["lr"] = learning_rate
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()

    def layers(self) -> list[Layer]:
        """The layers in NumPy; copies."""
        return [(_array(weights), _array(biases)) for weights, biases in self._layers()]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The weights, Adam's moments of the gradient and how many steps it has done; copies."""
        return {
            "weights": _array(self._weights),
            "first_moment": _array(self._known["exp_avg"]),
            "second_moment": _array(self._known["exp_avg_sq"]),
            "steps": _array(self._known["step"]).astype(np.int64).reshape(1),
        }

    def load(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take over what :meth:`arrays` gave, of a network of the same widths."""
        with torch.no_grad():
            self._weights.copy_(torch.from_numpy(arrays["weights"]))
            self._known["exp_avg"].copy_(torch.from_numpy(arrays["first_moment"]))
            self._known["exp_avg_sq"].copy_(torch.from_numpy(arrays["second_moment"]))
            self._known["step"].fill_(float(arrays["steps"][0]))


def _array(values: torch.Tensor) -> NDArray[Any]:
    """A tensor in NumPy; a copy."""
    return np.array(values.detach().cpu().numpy())
