"""A stand-in for the host's wing: a plan that writes names on a link, which a transaction keeps or takes back.

Run as a program on a transaction's folder it is that transaction's watchdog; a number before it is how many seconds
a change may be on its way.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from vmnet.change import watchdog
from vmnet.change.executor import execute
from vmnet.change.plan import Plan, Step
from vmnet.change.transaction import Transaction
from vmnet.errors import VmnetError
from vmnet.host import rtnetlink
from vmnet.values import dataclass

LINK, PEER = "up0", "lan0"
WATCHDOG = (__file__,)


@dataclass(frozen=True, slots=True)
class Write(Step):
    """Write a word into the link's alias, behind what is there."""

    wing: ClassVar[str] = "host"
    word: str

    def summary(self) -> str:
        return f"Write {self.word}"


PLAN = Plan((Write("a"), Write("b"), Write("c")))


def alias(name: str = LINK) -> str:
    """What is written on the link; on its peer it is why nothing can be put back now."""
    return next((link.alias or "" for link in rtnetlink.links() if link.name == name), "")


class Words:
    """The wing: its world is the alias of one link, in the kernel."""

    def image(self, steps):
        return alias()

    def apply(self, step):
        write(alias() + step.word)

    def restore(self, image):
        if why := alias(PEER):
            raise VmnetError(why, "it cannot be put back")
        if alias() == image:
            return []
        write(image)
        return [f"{image} written again"]

    def refuse_restore(self, image):
        pass

    def differences(self, image):
        return [] if alias() == image else [f"{LINK} says {alias()}"]

    def to_json(self, image):
        return {"alias": image}

    def from_json(self, document):
        return document["alias"]


def wing_of(name: str) -> Words:
    return {"host": Words}[name]()


def change(
    confirm: float | None = None,
    progress: Callable[[Step], None] = lambda step: None,
    waiting: Callable[[str, float], None] = lambda name, left: None,
) -> str:
    """Carry the plan out as a transaction; its id."""
    transaction = Transaction((LINK,), WATCHDOG, confirm, waiting)
    execute(PLAN, {"host": Words()}, progress, transaction)
    return transaction.id


def write(text: str, name: str = LINK) -> None:
    """Write on a link."""
    done = subprocess.run(["ip", "link", "set", name, "alias", text], capture_output=True, text=True, check=False)
    if done.returncode:
        raise VmnetError("refused", done.stderr)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        watchdog.ARMED_SECONDS = float(sys.argv[1])
    watchdog.watch(Path(sys.argv[-1]), wing_of, ("in-use",))
