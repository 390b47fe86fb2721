"""The closed sets of the guest's wing."""

from __future__ import annotations

from enum import Enum, Flag, IntEnum, StrEnum, auto


class Target(IntEnum):
    """The document of a domain that a call changes (virDomainModificationImpact)."""

    LIVE = 1
    CONFIG = 2


class State(StrEnum):
    """What a domain is doing, in virsh's words (virDomainState, in its order)."""

    NO_STATE = "no state"
    RUNNING = "running"
    BLOCKED = "idle"
    PAUSED = "paused"
    SHUTDOWN = "in shutdown"
    SHUTOFF = "shut off"
    CRASHED = "crashed"
    SUSPENDED = "pmsuspended"


class Source(StrEnum):
    """Where an address of a guest is known from."""

    AGENT = "agent"
    LEASE = "lease"
    NEIGHBOUR = "neighbour"


class Unplug(Enum):
    """How a request to unplug ended."""

    REMOVED = "removed"
    REFUSED = "refused"
    PENDING = "pending"


class Scope(Flag):
    """The documents that a command is asked to change."""

    LIVE = auto()
    CONFIG = auto()
