"""One call for all planners."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence

from rich.console import Console

from agents.planners.inner.inner import Inner
from agents.planners.journal import Journal, journal_in
from agents.planners.objectives import Limit, Objective, as_objective
from agents.planners.result import Design, described
from agents.planners.space import Point, Space
from agents.planners.study import Study, find_method
from agents.planners.trial import Trial
from agents.planners.work import Job, failed, tried
from karma_envs.config import refusal, whole
from karma_envs.files import PathLike
from karma_envs.jobs import Backend, in_threads, in_turn

Observer = Callable[[Design], None]
"""Called when a trial has ended, with all that have, in the order of their numbers."""


class AllFailed(RuntimeError):  # noqa: N818
    """Every trial of a study failed."""


def design(
    space: Space,
    inner: Inner,
    objective: str | Objective | Sequence[str | Objective],
    *,
    budget: int,
    method: str = "bayesian",
    limits: Sequence[Limit] = (),
    start: Sequence[Point] = (),
    seeds: int = 1,
    seed: int = 0,
    workers: int = 1,
    backend: Backend = in_threads,
    storage: PathLike | None = None,
    observer: Observer | None = None,
    progress: bool = False,
) -> Design:
    """Choose a mechanism's parameters by what selfish agents make of them.

    The outer of two problems: each trial sets the parameters, and the inner problem says what comes of it, by
    solving for an equilibrium or by learning. An evaluation that raises an error is one failed trial.

        space = Space([Continuous("karma_mean", 2, 18)])
        result = agents.design(space, EquilibriumInner("matching"), "efficiency", budget=30)
        result.best.point

    The same arguments give the same study, whatever the time that evaluations take and wherever they are
    made; with a ``storage`` also where the process was killed meanwhile, however often.

    Args:
        space: what may be chosen.
        inner: what a choice comes to, see :mod:`agents.planners.inner`.
        objective: the name of a measure to maximise, ``"-name"`` of one to minimise, an
            :class:`agents.planners.objectives.Objective`, or a list of these: then the result has a front,
            and its ``best`` is by the first.
        budget: trials, those in the storage included.
        method: ``"bayesian"``; ``"gradient"``, by the derivatives of an exact inner problem; ``"random"``;
            ``"none"``, the problem as it is; another file of :mod:`agents.planners.methods`; or a function
            of your own as ``"module:METHOD"``, see :data:`agents.planners.study.Method`.
        limits: what measures must come to for a trial to be acceptable.
        start: points to try first, such as those that a gradient method ended at.
        seeds: evaluations of each point, with seeds of their own; measures are then means, their standard
            errors those between seeds.
        seed: of all random draws.
        workers: points chosen and tried together; more of them know less of each other.
        backend: where they are tried, which changes nothing in the study: threads of this process, of which a
            single one is this, or others of :data:`training.common.backends.BACKENDS`, joblib's processes and
            Ray. For those the inner problem must be picklable; who is lost with its process or machine is a
            failed trial.
        storage: a folder that keeps the study: where it has one already, that is gone on with.
        observer: called whenever a trial has ended, in this thread.
        progress: whether to show trials on the terminal meanwhile.

    Returns:
        the trials. After Ctrl-C those that had ended, ``interrupted``; evaluations at work in other threads
        are left to end.

    Raises:
        ConfigError: before any work, for arguments that are not allowed, or a storage that holds another
            study or is in use.
        AllFailed: when every trial failed; the storage keeps them.
    """
    several = [objective] if isinstance(objective, (str, Objective)) else list(objective)
    if not several:
        raise refusal("objective", objective, "one or more")
    if not isinstance(inner, Inner):
        raise refusal("inner", inner, "an object with evaluate, meanings and to_plain")
    find_method(method)  # may be refused
    if not callable(backend):
        raise refusal("backend", backend, "a function such as karma_envs.jobs.in_threads")
    study = Study(
        space=space,
        objectives=tuple(map(as_objective, several)),
        limits=tuple(limits),
        method=method,
        start=tuple(space.checked(point) for point in start),
        seeds=whole("seeds", seeds, 1, 10_000),
        workers=whole("workers", workers, 1, 10_000),
        seed=whole("seed", seed, 0, 2**63 - 1),
    )
    budget = whole("budget", budget, 1, 1_000_000)
    with journal_in(storage, described(study, inner.to_plain(), inner.meanings)) as journal:
        alone = study.workers == 1 and backend is in_threads  # so that Ctrl-C ends the evaluation, too
        runner = _Runner(study, inner, journal, budget, in_turn if alone else backend)
        if progress:
            with Console(stderr=True, highlight=False).status("designing") as status:

                def show(result: Design) -> None:
                    status.update(_line(result, budget))
                    if observer is not None:
                        observer(result)

                result = runner.run(show)
        else:
            result = runner.run(observer)
        if storage is not None:
            result.save_table(storage)
    if not result.complete and not result.interrupted:
        reasons = "; ".join(dict.fromkeys(trial.notes for trial in result.trials[:3]))
        raise AllFailed(f"all {len(result.trials)} trials failed: {reasons}")
    return result


class _Runner:
    """A study at work.

    Args:
        study: what is sought.
        inner: the inner problem.
        journal: where trials are kept, some of them perhaps from before.
        budget: how many there may be.
        backend: where they are made.
    """

    def __init__(self, study: Study, inner: Inner, journal: Journal, budget: int, backend: Backend) -> None:
        self._study, self._inner, self._journal, self._budget = study, inner, journal, budget
        self._backend = backend

    def run(self, observer: Observer | None) -> Design:
        """Make the trials that are left, batch by batch."""
        propose = find_method(self._study.method)
        # A batch is over once one of the next is there. The last may have been cut short, also by a smaller
        # budget, so its points are asked for again, which gives the same.
        batch = max((trial.batch for trial in self._journal.trials.values()), default=0)
        told = [trial for trial in self._in_order() if trial.batch < batch]
        try:
            while len(told) < self._budget:
                proposals = propose(self._study, told)[: self._budget - len(told)]
                if not proposals:
                    break
                jobs = [
                    Job(number, batch, proposal, self._journal.warm(proposal.warm_from))
                    for number, proposal in enumerate(proposals, len(told))
                    if number not in self._journal.trials
                ]
                self._make(jobs, observer)
                told += [self._journal.trials[n] for n in range(len(told), len(told) + len(proposals))]
                batch += 1
        except KeyboardInterrupt:
            return self._design(interrupted=True)
        return self._design()

    def _make(self, jobs: Sequence[Job], observer: Observer | None) -> None:
        """Make the trials of jobs, and keep each once it has ended, whatever their order."""
        work = functools.partial(tried, self._study, self._inner)
        ends = self._backend(work, iter(jobs), self._study.workers)
        try:
            for job, result in ends:
                lost = isinstance(result, Exception)
                self._journal.add(*((failed(self._study, job, result), None) if lost else result))
                if observer is not None:
                    observer(self._design())
        except KeyboardInterrupt as error:
            with contextlib.suppress(KeyboardInterrupt):  # nobody waits for those that are at work
                ends.throw(error)
            raise

    def _in_order(self) -> list[Trial]:
        return [self._journal.trials[number] for number in sorted(self._journal.trials)]

    def _design(self, *, interrupted: bool = False) -> Design:
        return Design(
            self._study,
            tuple(trial for trial in self._in_order() if trial.number < self._budget),
            self._inner.meanings,
            self._inner.to_plain(),
            interrupted,
        )


def _line(result: Design, budget: int) -> str:
    """How far a study is."""
    return f"trial {len(result.trials)} of {budget} · {result._said()['best']}"
