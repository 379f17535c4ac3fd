"""What a run found, as a table of medians and ratios."""

from dataclasses import dataclass, field


@dataclass
class Results:
    """warm, cold: median seconds, by title and by implementation."""

    size: int
    titles: dict[str, str]
    warm: dict[str, dict[str, float]] = field(default_factory=dict)
    cold: dict[str, dict[str, float]] = field(default_factory=dict)


def print_table(results: Results) -> None:
    """Milliseconds, and behind each peer's the share of it that this service took."""
    for rows in (results.warm, results.cold):
        names = list(dict.fromkeys(name for row in rows.values() for name in row))
        width = max(len(title) for title in rows) + 2
        print(f"\n{results.size:,} orders, ms".ljust(width + 1) + "".join(f"{name:>18}" for name in names))
        for title, row in rows.items():
            cells = [
                f"{row[name] * 1000:8.2f}" + (" " * 10 if name == "ours" else f"  × {row['ours'] / row[name]:5.2f} ")
                for name in names
            ]
            print(title.ljust(width) + "".join(f"{cell:>18}" for cell in cells))
