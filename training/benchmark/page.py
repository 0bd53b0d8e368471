"""The report as one self-contained HTML page: no network, vector graphics, a little JavaScript.

Without JavaScript it shows all metrics one after the other. All text that comes from files is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from training.benchmark.panels import DRAWINGS, Panel
from training.benchmark.tables import Cell, Report
from training.benchmark.tasks import find_task

_OVERALL = "all tasks"
REPORT_COMMAND = "karma-envs benchmark report runs/bench"

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


def to_html(reports: Sequence[Report]) -> str:
    """The page."""
    options = "".join(
        f'<optgroup label="{escape(report.kind.heading)}">'
        + "".join(
            f'<option value="{_section_name(report, name)}">{escape(report.columns[name].title)}</option>'
            for name in _shown(report)
        )
        + "</optgroup>"
        for report in reports
    )
    note = (
        ""
        if all(report.comparable for report in reports)
        else '<p class="note">* with another budget, or in another version of the task: not comparable.</p>'
    )
    sections = "".join(_section(report, name) for report in reports for name in _shown(report))
    commands = [command for report in reports for command in report.commands]
    environments = "".join(
        f"<li><b>{escape(', '.join(names))}</b>: {escape(text)}</li>"
        for report in reports
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
<p>Points are interquartile means over seeds unless it says otherwise, under “{_OVERALL}” over tasks and
seeds; bars are 95 % intervals of the stratified bootstrap (none for one seed); small ticks are seeds. Click
on the head of a column to sort by it.</p>
{note}
<p id="choice" hidden><label>Metric: <select id="metric">{options}</select></label></p>
{sections}
{"".join(map(_of_kind, reports))}
<h2>What gives these numbers</h2>
<pre>{escape(chr(10).join([*commands, REPORT_COMMAND]))}</pre>
<ul>{environments}</ul>
<div id="tip" role="status"></div>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _shown(report: Report) -> list[str]:
    """The metrics that some result has."""
    return [name for name in report.columns if report.tasks_of(name)]


def _section_name(report: Report, metric: str) -> str:
    """What a metric goes by on the page, where the kinds of tasks may have metrics of one name."""
    return f"{report.kind.contender}-{metric}"


def _of_kind(report: Report) -> str:
    """What competes in a kind of task, and what the tasks are."""
    about = "".join(
        f"<li><b>{escape(name)}</b>: {escape(report.about[name])}</li>" for name in report.algorithms
    )
    tasks = "".join(
        f"<li><b>{escape(task.name)}</b>: {escape(task.title)}; {escape(task.numbers_text)}</li>"
        for task in map(find_task, report.tasks)
    )
    refused = "".join(
        f"<li><b>{escape(name)}</b> does not do <b>{escape(task)}</b>: {escape(reason)}</li>"
        for (task, name), reason in report.refused.items()
    )
    return (
        f"<h2>{escape(report.kind.heading)}</h2><ul>{about}</ul>"
        f"<h2>Their tasks</h2><ul>{tasks}</ul>{f'<ul>{refused}</ul>' if refused else ''}"
    )


def _section(report: Report, metric: str) -> str:
    """A table and a panel per task of one metric."""
    means = report.columns[metric]
    tasks = report.tasks_of(metric)
    columns = [_OVERALL, *tasks] if len(tasks) > 1 and means.across_tasks else tasks

    def cell(column: str, algorithm: str) -> Cell | None:
        if column == _OVERALL:
            return report.overall.get((metric, algorithm))
        return report.cells.get((metric, column, algorithm))

    head = "".join(
        f'<th scope="col"><button type="button">{escape(each)}</button></th>'
        for each in (report.kind.contender, *columns)
    )
    rows = "".join(
        f'<tr><td data-value="{escape(each)}">{escape(each)}</td>'
        + "".join(_table_cell(cell(column, each), column, len(tasks)) for column in columns)
        + "</tr>"
        for each in report.algorithms
    )
    draw = DRAWINGS[means.drawing]
    titles = {name: escape(find_task(name).title) for name in tasks} | {_OVERALL: "all tasks and seeds"}
    panels = "".join(
        draw(
            Panel(
                column,
                titles[column],
                means.title,
                tuple(
                    (each, shown, number)
                    for number, each in enumerate(report.algorithms)
                    if (shown := cell(column, each)) is not None
                ),
                ticks=column != _OVERALL,
            )
        )
        for column in columns
    )
    better = "more" if means.more_is_better else "less"
    return (
        f'<section data-metric="{_section_name(report, metric)}"><h2>{escape(means.title.capitalize())}</h2>'
        f"<p>{escape(report.kind.heading)}. {escape(means.meaning)}; {better} is better</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<div class="panels">{panels}</div></section>\n'
    )


def _table_cell(cell: Cell | None, column: str, n_tasks: int) -> str:
    if cell is None:
        return '<td data-value="">–</td>'
    value, _, interval = cell.text.partition(" ")
    few = column == _OVERALL and cell.n_tasks < n_tasks
    count = f" ({cell.n_tasks} of {n_tasks} tasks)" if few else ""
    sorted_by = repr(cell.estimate.value).replace("inf", "Infinity")  # as scripts read it
    return f'<td data-value="{sorted_by}">{value} <small>{interval}{count}</small></td>'
