"""The karma benchmark: fixed tasks, comparable numbers with confidence intervals, a leaderboard.

A task is an entry of :mod:`training.benchmark.tasks`, an algorithm a function of
:mod:`training.benchmark.algorithms` or of a module of yours.
"""

from training.benchmark.algorithms import Algorithm, Trained, find
from training.benchmark.report import add_result, write_report
from training.benchmark.result import Result
from training.benchmark.run import run_benchmark
from training.benchmark.tasks import TASKS, Task

__all__ = [
    "TASKS", "Algorithm", "Result", "Task", "Trained", "add_result", "find", "run_benchmark", "write_report",
]  # fmt: skip
