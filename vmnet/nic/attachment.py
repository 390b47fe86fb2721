"""How a NIC reaches the network: the kinds of attachment, as values."""

from __future__ import annotations

from enum import Flag, StrEnum, auto
from typing import ClassVar, TypeAlias

from vmnet.values import dataclass


class MacvtapMode(StrEnum):
    """How the macvtaps on one uplink reach each other."""

    BRIDGE = "bridge"
    """Through the uplink, directly."""
    VEPA = "vepa"
    """By the switch outside, which must send frames back out of the port they came in (hairpin)."""
    PRIVATE = "private"
    """Not at all, even if the switch sends frames back."""
    PASSTHROUGH = "passthrough"
    """There are no others: one NIC takes the uplink alone, and gives it its MAC."""


class Fits(Flag):
    """The attachments on which a field has a meaning."""

    DIRECT = auto()
    BRIDGE = auto()
    NETWORK = auto()
    EVERY = DIRECT | BRIDGE | NETWORK


@dataclass(frozen=True, slots=True)
class Direct:
    """A macvtap on an uplink.

    Args:
        dev: The uplink; empty in a template that leaves it open.
        mode: How it reaches other macvtaps there.
    """

    fits: ClassVar[Fits] = Fits.DIRECT
    dev: str
    mode: MacvtapMode


@dataclass(frozen=True, slots=True)
class Bridge:
    """A tap that is a port of a host bridge.

    Args:
        name: The bridge; empty in a template that leaves it open.
    """

    fits: ClassVar[Fits] = Fits.BRIDGE
    name: str


@dataclass(frozen=True, slots=True)
class Network:
    """A libvirt network, which decides the real attachment when the guest starts.

    Args:
        name: The network; empty in a template that leaves it open.
        portgroup: The group of its ports.
    """

    fits: ClassVar[Fits] = Fits.NETWORK
    name: str
    portgroup: str | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """An attachment that vmnet shows and leaves alone: user, hostdev, vdpa and the like."""

    fits: ClassVar[Fits] = Fits.EVERY
    type: str


Attachment: TypeAlias = Direct | Bridge | Network | Other
