"""Objectives and limits as they are written on the command line and in files."""

from __future__ import annotations

import re
from typing import Any

from agents.planners import Limit, MaxMin, Measure, Objective, TradeOff
from karma_envs.config import ConfigError, is_list, refusal
from training.planning.ranges import split

_MEASURE = r"[A-Za-z_][\w.]*(?:\[\d+\][\w.]*)*"
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TERM = re.compile(rf"\s*([-+]?)\s*(?:(\d+\.?\d*|\.\d+)\s*\*?\s*)?({_MEASURE})\s*")
_EXTREME = re.compile(r"\s*(min|max)\((.*)\)\s*")
_LIMIT = re.compile(rf"\s*({_MEASURE})\s*(<=|>=)\s*({_NUMBER})\s*")
_ALLOWED = (
    "a measure such as efficiency, -NAME to have less of it, a weighted sum efficiency+0.5*reward_fairness, "
    "or min(A,B), the least of several, to have more of that"
)


def read_objective(given: Any) -> Objective:
    """An objective of its text.

    Raises:
        ConfigError: for a text that is none.
    """
    text = str(given)
    if match := _EXTREME.fullmatch(text):
        names = [name.strip() for name in split(match[2])]
        if all(re.fullmatch(_MEASURE, name) for name in names):
            return MaxMin(tuple(names), maximise=match[1] == "min")
    terms = re.findall(r"[-+]?[^-+]+", text)
    matches = [_TERM.fullmatch(term) for term in terms]
    if not terms or "".join(terms) != text or not all(matches):
        raise refusal("objective", given, _ALLOWED)
    weights: dict[str, float] = {}
    for match in filter(None, matches):
        if match[3] in weights:
            raise ConfigError(f"objective {given!r} has {match[3]} twice")
        weights[match[3]] = float(f"{match[1]}{match[2] or 1}")
    ((name, weight),) = list(weights.items())[:1]
    if len(weights) == 1 and abs(weight) == 1:
        return Measure(name, maximise=weight > 0)
    return TradeOff(weights)


def read_limit(given: Any) -> Limit:
    """A limit of its text, ``exploitability<=0.01``.

    Raises:
        ConfigError: for a text that is none.
    """
    match = _LIMIT.fullmatch(str(given))
    if match is None:
        raise refusal("limit", given, "MEASURE<=NUMBER or MEASURE>=NUMBER, such as karma_gini<=0.3")
    number = float(match[3])
    return Limit(match[1], most=number) if match[2] == "<=" else Limit(match[1], least=number)


def as_texts(name: str, given: Any) -> tuple[str, ...]:
    """One text or several, as a tuple.

    Raises:
        ConfigError: for anything else.
    """
    texts = (given,) if isinstance(given, str) else given
    if not is_list(texts) or not all(isinstance(text, str) for text in texts):
        raise refusal(name, given, "a text or a list of texts")
    return tuple(texts)
