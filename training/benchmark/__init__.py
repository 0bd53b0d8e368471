"""The karma benchmark: fixed tasks, comparable numbers with confidence intervals, a leaderboard.

A task is an entry of :mod:`training.benchmark.tasks` or, of planners, of
:mod:`training.benchmark.planner_tasks`; what competes is an algorithm of
:mod:`training.benchmark.algorithms`, a method of :mod:`agents.planners.methods`, or a function of yours.
"""

from training.benchmark.algorithms import Algorithm, Trained, find
from training.benchmark.planner_tasks import PlannerTask
from training.benchmark.report import add_result, write_report
from training.benchmark.result import Result
from training.benchmark.run import run_benchmark
from training.benchmark.tasks import TASKS, Task

__all__ = [
    "TASKS", "Algorithm", "PlannerTask", "Result", "Task", "Trained", "add_result", "find", "run_benchmark",
    "write_report",
]  # fmt: skip
