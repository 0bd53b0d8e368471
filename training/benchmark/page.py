"""The report as one self-contained HTML page: no network, vector graphics, a little JavaScript.

Without JavaScript it shows all metrics one after the other. All text that comes from files is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from training.benchmark.columns import Column
from training.benchmark.measure import numbers_of
from training.benchmark.tables import Cell, Report, number_text
from training.benchmark.tasks import find_task

_OVERALL = "all tasks"
_WIDTH, _ROW, _TOP, _BOTTOM = 460, 22, 8, 26
_LABEL, _RIGHT = 150, 16  # pixels left and right of a panel's axis
_LONGEST_LABEL = 22
_COLOURS = ("#4269d0", "#e8741a", "#3a9d5c", "#c03b52", "#7a52c7", "#1698a3", "#8a6642", "#b3459e")

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2433; background: #fbfbfd; max-width: 84rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .3rem; } h2 { font-size: 1.15rem; margin-top: 1.6rem; }
p, .note { color: #4b5568; max-width: 50rem; } .note { border-left: 4px solid #e0a100; padding-left: .8rem; }
select { font: inherit; padding: .2rem .5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; background: white; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid #e4e7ee; text-align: left; white-space: nowrap; }
th { background: #f0f2f7; } th button { font: inherit; font-weight: 600; border: 0; padding: 0;
  cursor: pointer; background: none; color: inherit; }
th[aria-sort=ascending] button::after { content: " ▲"; }
th[aria-sort=descending] button::after { content: " ▼"; }
td small { color: #6b7486; }
pre { background: white; border: 1px solid #e4e7ee; border-radius: 6px; padding: .6rem; overflow-x: auto;
  font-size: 13px; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(25rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; background: white; border: 1px solid #e4e7ee; border-radius: 6px; padding: .6rem; }
figcaption { font-weight: 600; font-size: 13px; } figcaption small { font-weight: 400; color: #6b7486; }
svg { width: 100%; height: auto; } svg text { font-size: 12px; fill: #1d2433; }
svg .grid { stroke: #e4e7ee; } svg .tick { fill: #6b7486; font-size: 11px; }
svg .mark { cursor: default; outline: none; } svg .mark:hover .dot, svg .mark:focus .dot { stroke: #1d2433; }
#tip { position: fixed; pointer-events: none; background: #1d2433; color: white; padding: .35rem .6rem;
  border-radius: 4px; font-size: 12.5px; white-space: pre-line; display: none; max-width: 26rem; }
"""

_SCRIPT = """
const sections = [...document.querySelectorAll("section[data-metric]")];
const choice = document.getElementById("metric");
function show() { for (const one of sections) one.hidden = one.dataset.metric !== choice.value; }
choice.addEventListener("change", show);
document.getElementById("choice").hidden = false;
show();

for (const button of document.querySelectorAll("th button")) button.addEventListener("click", () => {
  const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
  const column = [...head.parentElement.children].indexOf(head);
  const up = head.getAttribute("aria-sort") === "descending";
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => row.cells[column].dataset.value;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = column === 0 ? x.localeCompare(y) : Number(x) - Number(y);
    return up ? order : -order;
  });
  body.append(...rows);
});

const tip = document.getElementById("tip");
function tell(mark, x, y) {
  tip.textContent = mark.dataset.numbers;
  tip.style.display = "block";
  tip.style.left = Math.min(x + 14, innerWidth - tip.offsetWidth - 8) + "px";
  tip.style.top = Math.min(y + 14, innerHeight - tip.offsetHeight - 8) + "px";
}
for (const mark of document.querySelectorAll(".mark")) {
  mark.addEventListener("mousemove", event => tell(mark, event.clientX, event.clientY));
  mark.addEventListener("focus", () => {
    const box = mark.getBoundingClientRect();
    tell(mark, box.right, box.top);
  });
  for (const end of ["mouseleave", "blur"]) mark.addEventListener(end, () => { tip.style.display = "none"; });
}
"""


def to_html(report: Report) -> str:
    """The page."""
    shown = [name for name in report.columns if report.tasks_of(name)]
    titles = {name: escape(report.columns[name].title) for name in shown}
    options = "".join(f'<option value="{name}">{title}</option>' for name, title in titles.items())
    note = (
        ""
        if report.comparable
        else '<p class="note">* trained with another budget, or in another version of the task: not '
        "comparable.</p>"
    )
    about = "".join(
        f"<li><b>{escape(name)}</b>: {escape(report.about[name])}</li>" for name in report.algorithms
    )
    tasks = "".join(
        f"<li><b>{escape(task.name)}</b>: {escape(task.title)}; {escape(numbers_of(task))}</li>"
        for task in map(find_task, report.tasks)
    )
    environments = "".join(
        f"<li><b>{escape(', '.join(names))}</b>: {escape(text)}</li>"
        for text, names in report.environments.items()
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The karma benchmark</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>The karma benchmark</h1>
<p>Points are interquartile means over seeds, under “{_OVERALL}” over tasks and seeds; bars are 95 %
intervals of the stratified bootstrap (none for one seed); small ticks are seeds. Click on the head of a
column to sort by it.</p>
{note}
<p id="choice" hidden><label>Metric: <select id="metric">{options}</select></label></p>
{"".join(_section(report, name) for name in shown)}
<h2>Algorithms</h2><ul>{about}</ul>
<h2>Tasks</h2><ul>{tasks}</ul>
<h2>What gives these numbers</h2>
<pre>{escape(chr(10).join(report.commands))}</pre>
<ul>{environments}</ul>
<div id="tip" role="status"></div>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _section(report: Report, metric: str) -> str:
    """A table and a panel per task of one metric."""
    means = report.columns[metric]
    tasks = report.tasks_of(metric)
    columns = [_OVERALL, *tasks] if len(tasks) > 1 else tasks

    def cell(column: str, algorithm: str) -> Cell | None:
        if column == _OVERALL:
            return report.overall.get((metric, algorithm))
        return report.cells.get((metric, column, algorithm))

    head = "".join(
        f'<th scope="col"><button type="button">{escape(each)}</button></th>'
        for each in ("algorithm", *columns)
    )
    rows = "".join(
        f'<tr><td data-value="{escape(each)}">{escape(each)}</td>'
        + "".join(_table_cell(cell(column, each), column, len(tasks)) for column in columns)
        + "</tr>"
        for each in report.algorithms
    )
    panels = "".join(
        _panel(column, means, [(each, cell(column, each)) for each in report.algorithms], report.algorithms)
        for column in columns
    )
    better = "more" if means.more_is_better else "less"
    return (
        f'<section data-metric="{metric}"><h2>{escape(means.title.capitalize())}</h2>'
        f"<p>{escape(means.meaning)}; {better} is better</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<div class="panels">{panels}</div></section>\n'
    )


def _table_cell(cell: Cell | None, column: str, n_tasks: int) -> str:
    if cell is None:
        return '<td data-value="">–</td>'
    value, _, interval = cell.text.partition(" ")
    few = column == _OVERALL and cell.n_tasks < n_tasks
    count = f" ({cell.n_tasks} of {n_tasks} tasks)" if few else ""
    return f'<td data-value="{cell.estimate.value!r}">{value} <small>{interval}{count}</small></td>'


def _panel(
    column: str, metric: Column, rows: Sequence[tuple[str, Cell | None]], algorithms: Sequence[str]
) -> str:
    """A drawing of the algorithms' intervals in a task."""
    drawn = [(name, cell) for name, cell in rows if cell is not None]
    if not drawn:
        return ""
    low, high, ticks = _axis(number for _, cell in drawn for number in _numbers(cell))
    left, right = _LABEL, _WIDTH - _RIGHT
    height = _TOP + _ROW * len(drawn) + _BOTTOM

    def x(value: float) -> str:
        return f"{left + (value - low) / (high - low) * (right - left):.1f}"

    bottom = _TOP + _ROW * len(drawn)
    parts = [
        f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="{_TOP}" y2="{bottom}"/>'
        f'<text class="tick" x="{x(tick)}" y="{bottom + 16}" text-anchor="middle">{tick:.4g}</text>'
        for tick in ticks
    ]
    for number, (name, cell) in enumerate(drawn):
        y = _TOP + _ROW * (number + 0.5)
        colour = _COLOURS[algorithms.index(name) % len(_COLOURS)]
        label = name if len(name) <= _LONGEST_LABEL else "…" + name[1 - _LONGEST_LABEL :]
        seeds = ", ".join(number_text(value) for value in cell.values[:12])
        seeds += ", …" if len(cell.values) > 12 else ""
        numbers = escape(f"{name}, {column}\n{metric.title}\n{cell.text}\nseeds: {seeds}")
        parts.append(f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{escape(label)}</text>')
        bar = ""
        if cell.estimate.low is not None and cell.estimate.high is not None:
            bar = (
                f'<line x1="{x(cell.estimate.low)}" x2="{x(cell.estimate.high)}" y1="{y}" y2="{y}" '
                f'stroke="{colour}" stroke-width="7" stroke-opacity=".35"/>'
            )
        marks = "".join(
            f'<line x1="{x(value)}" x2="{x(value)}" y1="{y - 5}" y2="{y + 5}" stroke="{colour}"/>'
            for value in (cell.values if column != _OVERALL else ())
        )
        parts.append(
            f'<g class="mark" tabindex="0" data-numbers="{numbers}" aria-label="{numbers}">'
            f'<rect x="{left}" y="{y - _ROW / 2}" width="{right - left}" height="{_ROW}" '
            f'fill="transparent"/>{bar}{marks}<circle class="dot" cx="{x(cell.estimate.value)}" cy="{y}" '
            f'r="5" fill="{colour}"/></g>'
        )
    overall = "interquartile mean over tasks and seeds"
    title = overall if column == _OVERALL else escape(find_task(column).title)
    return (
        f"<figure><figcaption>{escape(column)} <small>{title}</small></figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="group" aria-label="{escape(column)}">'
        f"{''.join(parts)}</svg></figure>"
    )


def _numbers(cell: Cell) -> Iterable[float]:
    """All that is drawn of a cell."""
    found = cell.estimate
    yield found.value
    if found.low is not None and found.high is not None:
        yield from (found.low, found.high)
    if cell.n_tasks == 1:
        yield from cell.values


def _axis(values: Iterable[float]) -> tuple[float, float, list[float]]:
    """The ends of an axis on which all values are, and round numbers on it, two to nine."""
    found = list(values)
    low, high = min(found), max(found)
    span = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-9)
    low, high = low - 0.05 * span, high + 0.05 * span
    power = 10.0 ** _floor_log10((high - low) / 4)
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= 8)
    first = int(-(-low // step))
    ticks = [round(step * number, 12) for number in range(first, int(high // step) + 1)]
    return low, high, ticks


def _floor_log10(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])
