"""What the service wants to reach beside its peers, and whether the run reaches it."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.comparison import COLD, OURS
from benchmarks.results import Results

WRITES = ("create, 3 items", "cancel")
# At most this share of the peer's figure: of a read, of a write, of a cold start, and of the processor time of mixed requests.
SHARES = {
    "django": (0.1, 0.25, 0.6, 0.1),
    "fastapi": (0.25, 0.25, 0.4, 0.25),
    "litestar": (0.5, 0.67, 0.6, 0.5),
    "fastify": (0.91, 0.8, 0.45, 0.8),
}
LIMIT, MOST_ABOVE_LIMIT_SECONDS, MOST_OF_LIMIT = "limit", 0.0001, 1.1
REDIS, MOST_OF_REDIS = "redis", 2
BARE_INSERT, MOST_OF_BARE_INSERT = "bare insert", 1.1


@dataclass(frozen=True)
class Target:
    """most: of this service's figure, as a share of the other's. shares: what was measured, by scenario."""

    title: str
    most: float
    shares: dict[str, float]


def table(run: Results) -> list[list[str]]:
    """The first row is the heading."""
    rows = [["target", "reached by", "farthest from it"]]
    for target in _targets(run):
        reached = [name for name, share in target.shares.items() if share <= target.most]
        worst = max(target.shares, key=lambda name: target.shares[name])
        count = f"{len(reached)} of {len(target.shares)}"
        rows.append([target.title, count, f"{worst}: {target.shares[worst]:.2g}"])
    return rows


def _targets(run: Results) -> Iterator[Target]:
    reads = {title: row for title, row in run.warm.items() if title not in WRITES}
    writes = {title: row for title, row in run.warm.items() if title in WRITES}
    billed = {name: function + postgres for name, (_, function, postgres) in run.mixed.items()}
    for peer in [peer for peer in SHARES if peer in run.mixed]:
        kinds = {
            "a read": _shares(reads, peer),
            "a write": _shares(writes, peer),
            "a cold start": _shares({COLD: run.cold[COLD]} if COLD in run.cold else {}, peer),
            "processor time": {"1,000 mixed requests": billed[OURS] / billed[peer]},
        }
        for most, (kind, shares) in zip(SHARES[peer], kinds.items(), strict=True):
            if shares:
                yield Target(f"{kind} ≤ {most:g} of {run.titles[peer]}", most, shares)
    # As a share of what is allowed, because it is allowed a part that does not depend on the statement.
    allowed = {title: MOST_ABOVE_LIMIT_SECONDS + MOST_OF_LIMIT * row[LIMIT] for title, row in run.warm.items() if LIMIT in row}
    above = {title: run.warm[title][OURS] / most for title, most in allowed.items()}
    yield Target("0.1 ms + 110 % of PostgreSQL alone (1 is as much)", 1, above)
    if shares := _shares(run.warm, REDIS):
        yield Target(f"a summary ≤ {MOST_OF_REDIS} of Redis GET", MOST_OF_REDIS, shares)
    if shares := _shares(run.seed, BARE_INSERT):
        yield Target(f"seeding ≤ {MOST_OF_BARE_INSERT} of the bare insert", MOST_OF_BARE_INSERT, shares)


def _shares(rows: dict[str, dict[str, float]], peer: str) -> dict[str, float]:
    return {title: row[OURS] / row[peer] for title, row in rows.items() if peer in row}
