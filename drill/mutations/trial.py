"""A drill of one mutation, in a copy of the service."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from contract.functions import ROOT
from drill.mutations import MUTATIONS
from drill.mutations.kit import Mutation
from drill.parts import WEIGHTS
from drill.play import Plan, play
from drill.stage import SENDER, Stage

SECONDS = 14
CONTROL = "control:"


def mutated(root: Path, mutation: Mutation) -> None:
    for name in ("contract", "functions", "layers", "local"):
        shutil.copytree(ROOT / name, root / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "openapi.json", root)
    for file, old, new in mutation.edits:
        text = (root / file).read_text(encoding="utf-8")
        assert old in text, f"{file} does not have: {old}"
        (root / file).write_text(text.replace(old, new), encoding="utf-8")


def convict(name: str, seed: int = 1) -> dict[str, list[str]]:
    """What the drill found, by check. After CONTROL a name is drilled in the same way, with its safeguard in place."""
    mutation = MUTATIONS[name.removeprefix(CONTROL)]
    if name.startswith(CONTROL):
        mutation = replace(mutation, edits=())
    seeding = {"customers": mutation.customers, "orders_per_customer": 10, "items_per_order": 3} if mutation.customers else {}
    plan = Plan(
        seed,
        SECONDS,
        6,
        mutation.faults,
        pause=(0.2, 0.8),
        wants=dict(mutation.wants) or dict(WEIGHTS),
        seeding=seeding,
        patience=mutation.patience,
        seeder={mutation.seeder: 1},
        webhooks=mutation.webhooks,
    )
    with tempfile.TemporaryDirectory(prefix="orders-mutation-") as folder:
        mutated(Path(folder) / "project", mutation)
        (Path(folder) / "stage").mkdir()
        sender = SENDER if mutation.mails else ""
        with Stage(Path(folder) / "stage", Path(folder) / "project", pooled=mutation.pooled, sender=sender) as stage:
            return dict(play(stage, plan, _quiet).verdict.findings)


def _quiet(_: str) -> None:
    pass
