"""The work of a trial, in this process or another: to evaluate a point; an error makes it a failed one."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from agents.planners.inner.inner import Arrays, Evaluation, Inner, mean_of
from agents.planners.study import Proposal, Study
from agents.planners.trial import COMPLETE, FAILED, Trial


@dataclass(frozen=True)
class Job:
    """A trial that is to be made.

    Attributes:
        number: of the trial.
        batch: that it is one of.
        proposal: its point.
        warm: what the evaluation begins with; None to begin anew.
    """

    number: int
    batch: int
    proposal: Proposal
    warm: Arrays | None


def tried(study: Study, inner: Inner, job: Job) -> tuple[Trial, Arrays | None]:
    """The trial of a job, and what it leaves for others to begin with."""
    began = time.perf_counter()
    seeds = [study.seed_of(job.number, repeat) for repeat in range(study.seeds)]
    try:
        evaluation = mean_of(
            [inner.evaluate(dict(job.proposal.point), seed=each, warm=job.warm) for each in seeds]
        )
        _check(study, evaluation)
    except Exception as error:
        return failed(study, job, error, time.perf_counter() - began), None
    trial = Trial(
        number=job.number,
        batch=job.batch,
        point=job.proposal.point,
        state=COMPLETE,
        seed=seeds[0],
        warm_from=job.proposal.warm_from,
        values=evaluation.values,
        standard_errors=evaluation.standard_errors,
        derivatives=evaluation.derivatives,
        reach=evaluation.reach,
        notes=evaluation.notes,
        seconds=time.perf_counter() - began,
    )
    return trial, evaluation.warm


def failed(study: Study, job: Job, error: Exception, seconds: float = 0.0) -> Trial:
    """The trial of a job that an error ended, its own or that of the process or machine it ran on."""
    return Trial(
        number=job.number,
        batch=job.batch,
        point=job.proposal.point,
        state=FAILED,
        seed=study.seed_of(job.number, 0),
        warm_from=job.proposal.warm_from,
        notes=f"{type(error).__name__}: {' '.join(str(error).split())}",
        seconds=seconds,
    )


def _check(study: Study, evaluation: Evaluation) -> None:
    """Refuse an evaluation that objectives and limits cannot be told from."""
    numbers = {each.name: each.value(evaluation.values) for each in study.objectives}
    numbers |= {each.name: each.excess(evaluation.values) for each in study.limits}
    for name, number in numbers.items():
        if not math.isfinite(number):
            raise ValueError(f"{name} is {number}")
