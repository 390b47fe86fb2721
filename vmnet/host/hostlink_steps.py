"""The steps of a hostlink: values that name what `stacking` does."""

from __future__ import annotations

from vmnet.host.model import Identity
from vmnet.host.steps import HostStep
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class HostlinkStep(HostStep):
    """A step of the host's wing that is about a hostlink."""


@dataclass(frozen=True, slots=True)
class CreateHostlink(HostlinkStep):
    """Make a macvlan in bridge mode on the uplink and set it up.

    Args:
        name: Its name.
        uplink: The link below it.
        mac: Its MAC.
        mtu: Bytes, the uplink's.
        moving: Whether it is to carry what the uplink does.
    """

    name: str
    uplink: Identity
    mac: str
    mtu: int
    moving: bool

    @property
    def touches(self) -> tuple[str, ...]:
        """The hostlink."""
        return (self.name,)

    def summary(self) -> str:
        """What the step does."""
        return f"Create hostlink {self.name} on {self.uplink.name} (macvlan, mode bridge, MAC {self.mac})"


@dataclass(frozen=True, slots=True)
class CarryToHostlink(HostlinkStep):
    """Have the hostlink carry what the uplink does.

    Args:
        uplink: The uplink.
        name: The hostlink's name.
        cargo: What is carried, in words.
    """

    uplink: Identity
    name: str
    cargo: str

    @property
    def touches(self) -> tuple[str, ...]:
        """The uplink and the hostlink."""
        return (self.uplink.name, self.name)

    @property
    def carries(self) -> tuple[str, ...]:
        """Both."""
        return self.touches

    def summary(self) -> str:
        """What the step does."""
        return f"Move {self.cargo} from {self.uplink.name} to {self.name}, and tell the LAN"


@dataclass(frozen=True, slots=True)
class GiveAddresses(HostlinkStep):
    """Give the hostlink addresses of its own, and have the host send to their networks by it.

    Args:
        name: The hostlink's name.
        addresses: With their prefixes: ``192.0.2.3/24``.
        networks: Those of them that are more than one address: ``192.0.2.0/24``.
    """

    name: str
    addresses: tuple[str, ...]
    networks: tuple[str, ...]

    @property
    def touches(self) -> tuple[str, ...]:
        """The hostlink."""
        return (self.name,)

    @property
    def carries(self) -> tuple[str, ...]:
        """The hostlink."""
        return self.touches

    def summary(self) -> str:
        """What the step does."""
        way = f", and reach {', '.join(self.networks)} by it" if self.networks else ""
        return f"Give {self.name} {', '.join(self.addresses)}{way}"


@dataclass(frozen=True, slots=True)
class CarryFromHostlink(HostlinkStep):
    """Have the uplink carry again what the hostlink does.

    Args:
        hostlink: The hostlink.
        uplink: The uplink.
        cargo: What is carried, in words.
    """

    hostlink: Identity
    uplink: Identity
    cargo: str

    @property
    def touches(self) -> tuple[str, ...]:
        """The uplink and the hostlink."""
        return (self.uplink.name, self.hostlink.name)

    @property
    def carries(self) -> tuple[str, ...]:
        """Both."""
        return self.touches

    def summary(self) -> str:
        """What the step does."""
        return f"Move {self.cargo} from {self.hostlink.name} to {self.uplink.name}, and tell the LAN"


@dataclass(frozen=True, slots=True)
class DeleteHostlink(HostlinkStep):
    """Delete a hostlink, with what it carries.

    Args:
        hostlink: The hostlink.
        cargo: What goes with it, in words; empty for nothing.
    """

    hostlink: Identity
    cargo: str = ""

    @property
    def touches(self) -> tuple[str, ...]:
        """The hostlink."""
        return (self.hostlink.name,)

    @property
    def carries(self) -> tuple[str, ...]:
        """The hostlink, which is made again if need be."""
        return self.touches

    def summary(self) -> str:
        """What the step does."""
        return f"Delete hostlink {self.hostlink.name}{f', with {self.cargo}' if self.cargo else ''}"
