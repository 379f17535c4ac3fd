"""What a drill is made of. Whatever the service learns to do gets a module here that registers its parts by decorators:

  @want(4)      what a client may want, and how often in relation to the others: a function of the client
  @beside       what goes on beside the clients, in a thread of its own, until `world.over`: a function of stage, world and seed
  @fault        what goes wrong: a function of stage and chance, which strikes, puts everything back and says what it did
  @check        what is judged in the end: a function of the evidence, which calls `evidence.note`
  ALWAYS        what must not be at any moment: a statement whose rows are findings
  UNFINISHED    what is still to be done when the load has ended: a statement whose rows say what

`drill/play.py` imports the modules. `feed.py`, `people.py` and `exports.py` are examples.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drill.checks import Evidence
    from drill.clients import Client, World
    from drill.stage import Stage

Want = Callable[["Client"], None]
Beside = Callable[["Stage", "World", str], None]
Fault = Callable[["Stage", random.Random], str]
Check = Callable[["Evidence"], None]

WANTED: dict[str, Want] = {}
# How often a client wants what, in relation to the others.
WEIGHTS: dict[str, int] = {}
BESIDES: list[Beside] = []
FAULTS: dict[str, Fault] = {}
CHECKS: list[Check] = []
ALWAYS: dict[str, str] = {}
UNFINISHED = {
    "the outbox": "SELECT queue || ' ' || body || ', sent ' || sends || ' times, due in ' || (due_at - now()) FROM outbox",
}


def want(weight: int) -> Callable[[Want], Want]:
    """weight: 0 if only some drills want it."""

    def register(function: Want) -> Want:
        WANTED[function.__name__] = function
        if weight:
            WEIGHTS[function.__name__] = weight
        return function

    return register


def beside(function: Beside) -> Beside:
    BESIDES.append(function)
    return function


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__] = function
    return function


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function
