"""The plots of docs/benchmarks.md: plain SVG, readable on a light and on a dark page."""

import math
from html import escape

STYLE = """
    text { font: 12px system-ui, sans-serif; fill: #24292f } .small { font-size: 11px }
    .axis { stroke: #8c959f; stroke-width: 0.5 }
    @media (prefers-color-scheme: dark) { text { fill: #d0d7de } .axis { stroke: #57606a } }
"""
COLOURS = {
    "ours": "#0969da",
    "django": "#2da44e",
    "fastapi": "#1b998b",
    "litestar": "#bf8700",
    "fastify": "#cf222e",
    "limit": "#6e7781",
    "redis": "#8250df",
}
LEFT, ROW, WIDTH, LEGEND = 240, 22, 920, 30


def dots(rows: dict[str, dict[str, float]], titles: dict[str, str]) -> str:
    """Milliseconds on a logarithmic axis: a row per scenario, a dot per implementation. rows: seconds."""
    names = [name for name in COLOURS if any(name in row for row in rows.values())]
    values = [value * 1000 for row in rows.values() for value in row.values()]
    low, high = 10 ** math.floor(math.log10(min(values))), 10 ** math.ceil(math.log10(max(values)))
    height = LEGEND + ROW * len(rows) + 30

    def across(milliseconds: float) -> float:
        share = math.log10(milliseconds / low) / math.log10(high / low)
        return LEFT + share * (WIDTH - LEFT - 30)

    parts = [_legend(names, titles)]
    for power in range(round(math.log10(low)), round(math.log10(high)) + 1):
        x = across(10**power)
        parts += [
            f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{LEGEND}" y2="{height - 24}"/>',
            f'<text class="small" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{10**power:g} ms</text>',
        ]
    for number, (title, row) in enumerate(rows.items()):
        y = LEGEND + ROW * (number + 0.5)
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(title)}</text>')
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - 30}" y1="{y:.1f}" y2="{y:.1f}"/>')
        # Ours last, so that no other dot hides it.
        for name in sorted(row, key=lambda name: name == "ours"):
            parts.append(f'<circle cx="{across(row[name] * 1000):.1f}" cy="{y:.1f}" r="5" fill="{COLOURS[name]}"/>')
    return _svg(height, parts)


def stacks(rows: dict[str, tuple[float, float]], titles: dict[str, str]) -> str:
    """Processor seconds per 1,000 requests: a bar per implementation, of the function and, paler, of PostgreSQL."""
    longest = max(map(sum, rows.values()))
    parts = []
    for number, (name, (function, postgres)) in enumerate(rows.items()):
        y, scale = 8 + number * 30, (WIDTH - LEFT - 180) / longest
        parts.append(f'<text x="{LEFT - 10}" y="{y + 14}" text-anchor="end">{escape(titles[name])}</text>')
        parts.extend(
            f'<rect x="{LEFT + x * scale:.1f}" y="{y}" width="{share * scale:.1f}" height="20" '
            f'fill="{COLOURS[name]}" fill-opacity="{opacity}"/>'
            for x, share, opacity in ((0.0, function, 1), (function, postgres, 0.45))
        )
        x = LEFT + (function + postgres) * scale + 8
        parts.append(f'<text class="small" x="{x:.1f}" y="{y + 14}">{function:.2f} + {postgres:.2f} s</text>')
    return _svg(len(rows) * 30 + 12, parts)


def growth(rows: dict[str, dict[int, float]], titles: dict[str, str]) -> str:
    """Milliseconds by orders in the database, both axes logarithmic: a line per implementation. rows: seconds by size."""
    sizes = sorted({size for row in rows.values() for size in row})
    values = [value * 1000 for row in rows.values() for value in row.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    top, bottom = LEGEND + 10, 300

    def place(size: int, seconds: float) -> tuple[float, float]:
        x = LEFT / 2 + (math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])) * (WIDTH - LEFT)
        return x, bottom - (math.log10(seconds * 1000) - low) / (high - low) * (bottom - top)

    parts = [_legend(list(rows), titles)]
    for power in range(low, high + 1):
        _, y = place(sizes[0], 10**power / 1000)
        parts.append(f'<line class="axis" x1="{LEFT / 2}" x2="{WIDTH - LEFT / 2}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="small" x="{LEFT / 2 - 8}" y="{y + 4:.1f}" text-anchor="end">{10**power:g} ms</text>')
    for size in sizes:
        x, _ = place(size, 1)
        parts.append(f'<text class="small" x="{x:.1f}" y="{bottom + 20}" text-anchor="middle">{size:,} orders</text>')
    for name, row in rows.items():
        points = [place(size, row[size]) for size in sorted(row)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        parts.extend(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{COLOURS[name]}"/>' for x, y in points)
    return _svg(bottom + 34, parts)


def _legend(names: list[str], titles: dict[str, str]) -> str:
    parts, x = [], 10
    for name in names:
        parts.append(f'<circle cx="{x + 5}" cy="12" r="5" fill="{COLOURS[name]}"/>')
        parts.append(f'<text class="small" x="{x + 15}" y="16">{escape(titles[name])}</text>')
        x += 30 + 6 * len(titles[name])
    return "\n".join(parts)


def _svg(height: float, parts: list[str]) -> str:
    inner = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">\n'
        f"<style>{STYLE}</style>\n{inner}\n</svg>\n"
    )
