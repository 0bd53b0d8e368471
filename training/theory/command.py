"""``karma-envs theory``: which conditions for convergence hold in a game."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from training.common.console import console
from training.common.flags import add_games, layers
from training.common.plot_command import draw
from training.solving.command import NOT_FOUND
from training.theory.tools import Numbers, Theory, TheoryConfig, theory_to_folder

Row = tuple[str, str]
"""What was found, and what it means."""

COMMAND = "theory"


def add(subparsers: Any) -> None:
    """Add the command."""
    text = "tell which conditions for convergence hold in a game; results go to a folder, with figures"
    description = f"{text.capitalize()}. The exit status is 3 where a tool failed; the others are kept."
    command = subparsers.add_parser(COMMAND, help=text, description=description)
    add_games(command, _run, TheoryConfig, _add_how)


def _add_how(parser: argparse.ArgumentParser) -> None:
    """Flags that say what is shown and written."""
    parser.add_argument(
        "--folder", metavar="DIR", help="where results go (default runs/<game>-theory-<number>)"
    )
    parser.add_argument("--quiet", action="store_true", help="do not show which tool is at work")
    parser.add_argument("--no-figures", action="store_true", help="draw no figures at the end")


def _run(options: argparse.Namespace) -> int:
    config = TheoryConfig.from_flat(options.game, getattr(options, "preset", None), *layers(options))
    with console.status("compiling (the first time takes a minute)") as status:

        def show(tool: str) -> None:
            status.update(f"{tool} (all tools take about a minute)")

        theory = theory_to_folder(
            config, getattr(options, "folder", None), None if "quiet" in options else show
        )
    report(theory)
    if theory.interrupted:
        console.print(f"interrupted; figures: karma-envs plot {theory.folder}")
        return 130
    if "no_figures" not in options:
        draw(theory.folder, ("png", "pdf"), trust=True)  # of what the user named just now
    return NOT_FOUND if theory.failed else 0


def report(theory: Theory) -> None:
    """Print what was found and what it means."""
    for tool, numbers in theory.numbers.items():
        console.print(tool, style="bold")
        if "failed" in numbers:
            rows = [("failed", numbers["failed"])]
        elif "because" in numbers:
            rows = [("does not apply", numbers["because"])]
        else:
            rows = _ROWS[tool](numbers)
        for found, meaning in rows:
            console.print(f"  {found}: {meaning}")
    console.print(f"results are in {theory.folder}")


def _lipschitz(numbers: Numbers) -> list[Row]:
    constants = numbers["constants"]
    equation = "5.2" if numbers["payment"] == "pay_bid_to_peer" else "5.4"
    verdict = "does, if L_pop and dh are as small" if numbers["exceeds"] else "does not"
    return [
        (
            f"L_Gamma = {constants['update']:.3f}",
            "policy mirror ascent is proven to contract only if its regularisation 1/beta exceeds L_Gamma "
            "(section 5.1.1, here with the least possible L_pop = 0 and dh = 0); "
            f"1/beta = {numbers['strength']:g} {verdict}",
        ),
        (
            f"L_rho = {constants['reward_population']:g}, K_rho = {constants['transition_population']:g}",
            "how strongly an agent's reward and transitions depend on the population at most (equations "
            f"5.1 and {equation}, for karma without a cap)",
        ),
    ]


def _lasry_lions(numbers: Numbers) -> list[Row]:
    pairs, found = numbers["pairs"], numbers["counterexample"]
    what = "pairs of stationary populations of random policies"
    condition = "Lasry-Lions monotonicity asks for S <= 0 for all pairs of populations (equation 5.5)"
    if numbers["one_urgency"]:
        meaning = "monotone, but not strictly: with one urgency S is 0 for all pairs (equations 5.7, 5.8)"
        return [(f"|S| up to {numbers['greatest_size']:.2g} for {pairs} {what}", meaning)]
    rows = []
    if found is not None:
        verdict = "not monotone" if found["total"] > 0 else "which violates nothing here"
        pair = "in one population the most urgent bid 2 and the least 1, in the other 1 and 0 (Lemma 5.1)"
        rows.append((f"S = {found['total']:.4g} for the counterexample, {verdict}", f"{condition}; {pair}"))
    count = f"S > 0 for {numbers['positive_pairs']} of {pairs} {what}"
    rows.append((count, f"|S| up to {numbers['greatest_size']:.3g}" + ("" if rows else f"; {condition}")))
    return rows


def _sublinearity(numbers: Numbers) -> list[Row]:
    rows = []
    for name, key in (("mean bids", "exact"), ("but for rounding", "but_for_rounding")):
        found = numbers[key]
        where = f"from karma {found['karma']} to {found['scaled_karma']}, urgency {found['urgency_value']:g}"
        where += f" of type {found['type']}" if len(numbers["mean_bids"]) > 1 else ""
        rows.append(
            (
                f"{name}: sublinear, by {-found['violation']:.3g} karma at least"
                if found["first_karma"] is None
                else f"{name}: not sublinear, first at karma {found['first_karma']}, worst by "
                f"{found['violation']:.3g} ({where})",
                "Lemma A.1: an agent with alpha times the karma bids at most alpha times as much; in states "
                f"that the equilibrium (efficiency {numbers['efficiency']:.4f}) visits"
                if key == "exact"
                else "the same if each bid may be half a unit off the ideal one, as bids are whole numbers "
                "and the lemma's are not",
            )
        )
    return rows


def _contractivity(numbers: Numbers) -> list[Row]:
    return [
        (
            _count(numbers),
            f"random policies from which one of {numbers['updates']} updates of policy mirror ascent with "
            f"rationality {numbers['rationality']:g} leads away from its equilibrium (Figure 5.1)",
        ),
        (
            f"greatest ratio {numbers['worst']:.4f}",
            "of the distance to the equilibrium after an update to that before, up to a policy's first "
            "violation; a contraction stays below 1",
        ),
    ]


def _monotonicity(numbers: Numbers) -> list[Row]:
    return [
        (
            _count(numbers),
            "random policies that do better than the equilibrium's in the mean field of their own "
            f"(equation 5.10, Figure 5.2), rationality {numbers['rationality']:g}",
        ),
        (
            f"greatest gain {numbers['worst']:.4g}",
            "of a random policy over the equilibrium's, in discounted payoff; monotone in the generalised "
            "sense if it is never above 0",
        ),
    ]


def _count(numbers: Numbers) -> str:
    tested, violations = numbers["tested"], numbers["violations"]
    certainty = f"{numbers['fraction']:.3f}, standard error {numbers['standard_error']:.3f}"
    if violations in (0, tested):  # the binomial error is 0 then; the rule of three is not
        side = "below" if violations == 0 else "above"
        bound = min(3 / tested, 1) if violations == 0 else max(1 - 3 / tested, 0)
        certainty = f"with 95 % confidence {side} {bound:.3f} of all"
    return (
        f"violations: {violations} of {tested} ({certainty}); {numbers['drawn']} drawn, of which "
        f"{tested} have the equilibrium's entropy or more"
    )


_ROWS: dict[str, Callable[[Numbers], list[Row]]] = {
    "lipschitz": _lipschitz,
    "lasry-lions": _lasry_lions,
    "sublinearity": _sublinearity,
    "contractivity": _contractivity,
    "monotonicity": _monotonicity,
}
