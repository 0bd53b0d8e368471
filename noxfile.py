"""What needs environments of its own: trainers that cannot share one, and other versions of Gymnasium.

nox makes them, in ``.nox/``. It is no dependency: ``pip install nox``, then::

    nox -s nightly                    # the tests that are too slow for every change
    nox -s package                    # wheel and sdist, and the tests of what is in the sdist
    nox -s trainers                   # the tests and the example of every trainer
    nox -s "trainers(rllib)"          # of one; nox --list names them all
    nox -s trainers -- --record       # and its algorithms in the small task, results to docs/trainers
    nox -s wrappers                   # the views in wrappers of packages that are heavy
    nox -s versions                   # every registered id with every version, records to docs/versions
    nox -s "versions(1.2.2-1.26.1)"   # with Gymnasium 1.2.2 and PettingZoo 1.26.1
    nox -s page                       # docs/trainers/README.md and docs/versions.md from what was recorded

Results that docs/trainers has already are kept: delete those that are to be measured anew.
"""

from __future__ import annotations

import itertools
import json
import re
import runpy
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import nox

nox.options.sessions = ["nightly", "package", "trainers", "wrappers", "versions"]

TESTED = Path("constraints.txt")
TRAINER_RESULTS, VERSION_RECORDS = Path("docs/trainers"), Path("docs/versions")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # networks are so small that more threads only wait for each other


# From the file, as nothing of ours is installed where nox runs.
read_trainers = runpy.run_path("training/common/trainers.py")["trainers"]
TRAINERS = {trainer.extra: trainer for trainer in read_trainers()}

GYMNASIUM, PETTINGZOO = ("1.1.1", "1.2.2", "1.4.0"), ("1.25.0", "1.26.1", "1.27.0")
CELLS = {
    **{
        f"{gymnasium}-{pettingzoo}": {"gymnasium": gymnasium, "pettingzoo": pettingzoo}
        for gymnasium, pettingzoo in itertools.product(GYMNASIUM, PETTINGZOO)
    },
    "floor": None,  # the versions of constraints/floor.txt
}
SHOWN = ("gymnasium", "pettingzoo", "numpy", "numba", "scipy", "networkx")
WAYS = {
    "test_karma_envs_make": "karma_envs.make",
    "test_gymnasium_make": "gymnasium.make",
    "test_gymnasium_make_vec_of_learners": "make_vec: sync, async",
    "test_gymnasium_make_vec_of_the_population": "make_vec: vector entry point",
    "test_pettingzoo_modules": "parallel_env, env",
    "test_pettingzoo_make": "pettingzoo.make",
}
"""What is counted, by the test in tests/test_made_by_id.py that tries it."""
VERSIONS_PAGE = """# Versions that were run

Every registered id is made in each of these ways and stepped for an episode; the numbers are of the tests in
`tests/test_made_by_id.py`. PettingZoo has `make` since 1.27; before, the functions of the modules stand for
it. The last row has the lowest versions that `pyproject.toml` allows. Made by `nox -s versions page`.

"""


@nox.session
def nightly(session: nox.Session) -> None:
    """The tests that are marked ``nightly``; all others run with every change."""
    session.install("-c", str(TESTED), "-e", ".[dev]")
    session.run("pytest", "-m", "nightly", "-n", "auto", "--durations=0", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build an sdist, and a wheel from it, without a warning; then run the tests of what is in the sdist."""
    folder = Path(session.create_tmp())
    session.install("build")
    said = session.run("python", "-m", "build", "--outdir", str(folder / "dist"), silent=True) or ""
    warned = [line for line in said.splitlines() if re.search(r"warning|deprecat", line, re.IGNORECASE)]
    if warned := [line for line in warned if "byte-compiling is disabled" not in line]:  # as the user said
        session.error(f"building warns: {warned[0]}")
    (archive,) = (folder / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as sdist:
        sdist.extractall(folder, filter="data")
    session.chdir(folder / archive.name.removesuffix(".tar.gz"))
    session.install("-c", str(TESTED), ".[dev]")
    session.run("pytest", "-n", "auto", "--dist", "loadfile", *session.posargs)


@nox.session
@nox.parametrize("name", list(TRAINERS), ids=list(TRAINERS))
def trainers(session: nox.Session, name: str) -> None:
    """The tests and the example of a trainer, in the versions it was tested with."""
    trainer = TRAINERS[name]
    session.install("-c", trainer.constraints, "-e", f".[{name},plot]", "pytest")  # pictures are tested
    session.run("python", "-m", "pip", "check")
    example = ("tests/test_examples.py", "-k", trainer.example)
    for tests in ((trainer.tests,), example):
        cases = run_tests(session, *tests)
        if skipped := [case for case, outcome in cases if outcome == "skipped"]:
            session.error(f"nothing may be missing here, yet these were skipped: {', '.join(skipped)}")
    if "--record" in session.posargs:
        algorithms = itertools.chain.from_iterable(("--algo", each) for each in trainer.algorithms)
        arguments = ("--tasks", "matching-tiny", "--seeds", "3", "--folder", str(TRAINER_RESULTS))
        session.run("karma-envs", "benchmark", "run", *algorithms, *arguments, env=ONE_THREAD)


@nox.session
def wrappers(session: nox.Session) -> None:
    """The views in wrappers of skrl, Minari, SuperSuit and MoviePy, in the versions it was tested with."""
    packages = ("skrl", "minari[create,hdf5]", "moviepy")
    session.install("-c", "constraints/wrappers.txt", "-e", ".[plot,sb3]", *packages, "pytest")
    session.run("python", "-m", "pip", "check")
    cases = run_tests(session, "tests/integrations/test_wrappers.py", "tests/views/test_copies.py")
    if skipped := [case for case, outcome in cases if outcome == "skipped"]:
        session.error(f"nothing may be missing here, yet these were skipped: {', '.join(skipped)}")


@nox.session
@nox.parametrize("cell", list(CELLS), ids=list(CELLS))
def versions(session: nox.Session, cell: str) -> None:
    """Every registered id, made in all ways and stepped, with other versions than the usual ones."""
    pins = CELLS[cell] or read_pins(Path("constraints/floor.txt"))
    constraints = Path(session.create_tmp(), "constraints.txt")
    chosen = {**read_pins(TESTED), **pins}
    constraints.write_text("".join(f"{package}=={version}\n" for package, version in chosen.items()))
    session.install("-c", str(constraints), "-e", ".", "pytest")
    session.run("python", "-m", "pip", "check")
    cases = run_tests(session, "tests/test_made_by_id.py", codes=(0, 1))
    program = (
        "import json, platform; from importlib.metadata import version;"
        f"found = {{package: version(package) for package in {SHOWN}}};"
        "print(json.dumps({'python': platform.python_version(), **found}))"
    )
    found = json.loads(session.run("python", "-c", program, silent=True, log=False))
    of_way = {
        way: [outcome for case, outcome in cases if case.partition("[")[0] == test and outcome != "skipped"]
        for test, way in WAYS.items()
    }
    passed = {way: f"{outcomes.count('passed')} of {len(outcomes)}" for way, outcomes in of_way.items()}
    VERSION_RECORDS.mkdir(parents=True, exist_ok=True)
    (VERSION_RECORDS / f"{cell}.json").write_text(json.dumps({**found, **passed}, indent=2) + "\n")
    if missing := WAYS.keys() - {case.partition("[")[0] for case, _ in cases}:
        session.error(f"no longer tested: {', '.join(missing)}")
    if failed := [case for case, outcome in cases if outcome == "failed"]:
        session.error(f"failed: {', '.join(failed)}")


@nox.session
def page(session: nox.Session) -> None:
    """The pages made of what was recorded."""
    columns = ("python", *SHOWN, *WAYS.values())
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for cell in CELLS:
        if (path := VERSION_RECORDS / f"{cell}.json").exists():
            record = json.loads(path.read_text())
            cells = (record[column].replace("0 of 0", "not there") for column in columns)
            lines.append(f"| {' | '.join(cells)} |")
    VERSION_RECORDS.with_suffix(".md").write_text(VERSIONS_PAGE + "\n".join(lines) + "\n")
    if (TRAINER_RESULTS / "results").is_dir():
        session.install("-c", str(TESTED), "-e", ".")
        session.run("karma-envs", "benchmark", "report", str(TRAINER_RESULTS))


def read_pins(path: Path) -> dict[str, str]:
    """Versions by package in a file of constraints ``package==version``."""
    lines = [line for line in path.read_text().splitlines() if "==" in line]
    pins = (line.split("==") for line in lines)
    return {package.lower().replace("_", "-"): version for package, version in pins}


def run_tests(session: nox.Session, *arguments: str, codes: tuple[int, ...] = (0,)) -> list[tuple[str, str]]:
    """Run pytest.

    Args:
        session: where.
        arguments: of pytest.
        codes: of success; 1 means that tests failed.

    Returns:
        for each case its name and ``passed``, ``failed`` or ``skipped``.
    """
    report = Path(session.create_tmp(), "report.xml")
    session.run("pytest", *arguments, f"--junitxml={report}", success_codes=codes, env=ONE_THREAD)
    outcome_of = {"failure": "failed", "error": "failed", "skipped": "skipped"}
    return [
        (
            case.get("name", ""),
            next((outcome_of[each.tag] for each in case if each.tag in outcome_of), "passed"),
        )
        for case in ElementTree.parse(report).iter("testcase")
    ]
