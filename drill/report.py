"""What a drill found, at the terminal and as a page with a timeline."""

import html
import time
from collections import Counter
from pathlib import Path

from drill.checks import MOST_TOLD
from drill.play import Outcome

COLOURS = {"done": "#3a7d44", "refused": "#8fb8de", "unavailable": "#e0a030", "error or no answer": "#c0392b"}
WIDTH, HEIGHT = 1000, 160
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .2em .6em; border-bottom: 1px solid #ddd }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.bad { color: #c0392b; font-weight: 600 }
svg { width: 100% }
"""


def write_report(outcome: Outcome, folder: Path) -> Path:
    """Prints the verdict, writes the page, and returns where it is."""
    for line in summary(outcome):
        print(line)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{outcome.plan.seed}.html"
    page.write_text(document(outcome), encoding="utf-8")
    return page


def summary(outcome: Outcome) -> list[str]:
    verdict = outcome.verdict
    lines = ["", *(f"{figure:>12}  {name}" for name, figure in outcome.figures.items()), ""]
    for check, times in verdict.checked.items():
        findings = verdict.findings.get(check, [])
        lines.append(f"{times:>12}  {check}: {f'{len(findings)} FOUND' if findings else 'held'}")
        lines += [f"              - {finding}" for finding in findings[:MOST_TOLD]]
    return [*lines, "", "Nothing was lost, doubled or told wrongly." if verdict.clean else "The drill found what must not be."]


def judged(outcome: Outcome) -> list[str]:
    """For a document: what was checked, and how often. Nothing was found."""
    rows = [f"| {check} | {times:,} |" for check, times in outcome.verdict.checked.items()]
    return ["", "| what was checked, and held | times |", "|---|---|", *rows]


def buckets(outcome: Outcome) -> dict[int, Counter[str]]:
    """Answers by the second in which they came."""
    found: dict[int, Counter[str]] = {}
    for _, attempt in outcome.journal.attempts():
        if attempt.ended == float("inf"):
            continue
        kind = "error or no answer"
        if attempt.succeeded:
            kind = "done"
        elif attempt.decided:
            kind = "refused"
        elif attempt.status in (429, 503):
            kind = "unavailable"
        found.setdefault(int(attempt.ended - outcome.journal.begun), Counter())[kind] += 1
    return found


def timeline(outcome: Outcome) -> str:
    seconds = buckets(outcome)
    length = max([*seconds, 1]) + 1
    highest = max((sum(counts.values()) for counts in seconds.values()), default=1)
    shapes = []
    for strike in outcome.strikes:
        x, width = WIDTH * strike.begun / length, max(WIDTH * strike.lasted / length, 1.5)
        title = html.escape(f"{strike.begun:.1f} s: {strike.what}")
        shapes.append(
            f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="{HEIGHT}" fill="#0002"><title>{title}</title></rect>'
        )
    for second, counts in seconds.items():
        y = float(HEIGHT)
        for kind, colour in COLOURS.items():
            tall = HEIGHT * counts[kind] / highest
            y -= tall
            x, width = WIDTH * second / length, max(WIDTH / length * 0.9, 0.5)
            shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}" fill="{colour}"/>')
    legend = " ".join(f'<span style="color:{colour}">■ {kind}</span>' for kind, colour in COLOURS.items())
    caption = f"<p>Answers per second, at most {highest}: {legend}; grey: faults</p>"
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(shapes)}</svg>{caption}'


def document(outcome: Outcome) -> str:
    verdict, plan = outcome.verdict, outcome.plan
    figures = "".join(f"<tr><td>{html.escape(name)}<td>{html.escape(figure)}" for name, figure in outcome.figures.items())
    checks = ""
    for check, times in verdict.checked.items():
        findings = verdict.findings.get(check, [])
        told = "".join(f"<li>{html.escape(finding)}" for finding in findings[: MOST_TOLD * 4])
        result = f'<span class="bad">{len(findings)} found</span><ul>{told}</ul>' if findings else "held"
        checks += f'<tr><td>{html.escape(check)}<td class="number">{times}<td>{result}'
    faults = "".join(
        f'<tr><td class="number">{strike.begun:.1f}<td>{html.escape(strike.what)}<td class="number">{strike.lasted:.1f}'
        f'<td class="number">{strike.recovered:.1f}'
        for strike in outcome.strikes
    )
    ending = (
        "Nothing was lost, doubled or told wrongly." if verdict.clean else '<span class="bad">It found what must not be.</span>'
    )
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Drill {plan.seed}</title><style>{STYLE}</style>
<h1>Drill {plan.seed}</h1>
<p>{plan.clients} clients, {outcome.lasted:.0f} s. {ending}
Again with the same schedule: <code>make drill SEED={plan.seed}</code></p>
{timeline(outcome)}
<h2>Figures</h2><table>{figures}</table>
<h2>What was checked</h2><table><tr><th>Promise<th>Times<th>Result{checks}</table>
<h2>Faults</h2><table><tr><th>At (s)<th>What<th>For (s)<th>Next write after (s){faults}</table>
</html>
"""
