"""The host's steps: values that name what `applier.HostWing` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from vmnet.change.plan import Step
from vmnet.host.model import PLAIN, BridgeSettings, Identity
from vmnet.nic.attachment import Bridge, Direct, MacvtapMode
from vmnet.values import dataclass

if TYPE_CHECKING:
    from vmnet.host.managers import Owner
    from vmnet.host.probes import Peer


@dataclass(frozen=True, slots=True)
class HostStep(Step):
    """A step of the host's wing."""

    wing: ClassVar[str] = "host"

    @property
    def touches(self) -> tuple[str, ...]:
        """Names of the links that it may make or change."""
        return ()

    @property
    def carries(self) -> tuple[str, ...]:
        """Names of those of them whose addresses, routes and settings it moves."""
        return ()


@dataclass(frozen=True, slots=True)
class CreateBridge(HostStep):
    """Make a bridge and set it up.

    Args:
        name: Its name.
        mac: Its MAC, the uplink's.
        mtu: Bytes, the uplink's.
        settings: How it forwards: without STP, unless that is wished, so that ports forward at once.
    """

    name: str
    mac: str | None
    mtu: int
    settings: BridgeSettings = PLAIN

    @property
    def touches(self) -> tuple[str, ...]:
        """The bridge."""
        return (self.name,)

    def summary(self) -> str:
        """What the step does."""
        stp = "on" if self.settings.stp else "off"
        return f"Create bridge {self.name} (MAC {self.mac}, MTU {self.mtu}, STP {stp})"


@dataclass(frozen=True, slots=True)
class Enslave(HostStep):
    """Make the uplink a port of the bridge."""

    uplink: Identity
    bridge: str

    @property
    def touches(self) -> tuple[str, ...]:
        """The uplink and the bridge."""
        return (self.uplink.name, self.bridge)

    def summary(self) -> str:
        """What the step does."""
        return f"Make {self.uplink.name} a port of bridge {self.bridge}"


@dataclass(frozen=True, slots=True)
class CarryToBridge(HostStep):
    """Make the uplink a port of the bridge, which carries from then on what the uplink did.

    Args:
        uplink: The uplink.
        bridge: The bridge's name.
        cargo: What is carried, in words.
    """

    uplink: Identity
    bridge: str
    cargo: str

    @property
    def touches(self) -> tuple[str, ...]:
        """The uplink and the bridge."""
        return (self.uplink.name, self.bridge)

    @property
    def carries(self) -> tuple[str, ...]:
        """Both."""
        return self.touches

    def summary(self) -> str:
        """What the step does."""
        return f"Make {self.uplink.name} a port of bridge {self.bridge}, and move {self.cargo} there"


@dataclass(frozen=True, slots=True)
class CarryToUplink(HostStep):
    """Release the uplink from the bridge, and have it carry what the bridge did.

    Args:
        bridge: The bridge.
        uplink: The uplink.
        cargo: What is carried, in words.
        lro: Whether the uplink joined frames before it became a port, and is to do so again.
    """

    bridge: Identity
    uplink: Identity
    cargo: str
    lro: bool = False

    @property
    def touches(self) -> tuple[str, ...]:
        """The uplink and the bridge."""
        return (self.uplink.name, self.bridge.name)

    @property
    def carries(self) -> tuple[str, ...]:
        """Both."""
        return self.touches

    def summary(self) -> str:
        """What the step does."""
        return f"Move {self.cargo} to {self.uplink.name}, and release it from bridge {self.bridge.name}"


@dataclass(frozen=True, slots=True)
class DeleteBridge(HostStep):
    """Delete a bridge that nobody uses any more."""

    bridge: Identity

    @property
    def touches(self) -> tuple[str, ...]:
        """The bridge."""
        return (self.bridge.name,)

    @property
    def carries(self) -> tuple[str, ...]:
        """The bridge, which is made again if need be."""
        return self.touches

    def summary(self) -> str:
        """What the step does."""
        return f"Delete bridge {self.bridge.name}"


@dataclass(frozen=True, slots=True)
class SetUp(HostStep):
    """Set a link up."""

    link: Identity

    @property
    def touches(self) -> tuple[str, ...]:
        """The link."""
        return (self.link.name,)

    def summary(self) -> str:
        """What the step does."""
        return f"Set {self.link.name} up"


@dataclass(frozen=True, slots=True)
class SetMode(HostStep):
    """Give a macvtap in use another mode, which the kernel does and libvirt does not (9.0 to 12.8)."""

    link: str
    mode: MacvtapMode

    @property
    def touches(self) -> tuple[str, ...]:
        """The macvtap."""
        return (self.link,)

    def summary(self) -> str:
        """What the step does."""
        return f"Set the mode of {self.link} to {self.mode.value}"


@dataclass(frozen=True, slots=True)
class KeepUp(HostStep):
    """See that a link is up and has its own MAC after a guest let go of it, and give it what it lacks.

    libvirt 9.0 leaves the lower link down when it takes away a macvtap in mode passthrough. It gives back the MAC that
    it saved, which is another guest's after an attach that failed meanwhile. As the MAC has just changed, the link is
    known by name and index alone.

    Args:
        name: The link's name.
        index: Its index.
        lent: The guest's MAC, which the link has while the guest does.
        own: What the link is to have if it still has that one: its hardware's; None where it has none to go back to.
    """

    name: str
    index: int
    lent: str | None = None
    own: str | None = None

    @property
    def touches(self) -> tuple[str, ...]:
        """The link."""
        return (self.name,)

    def summary(self) -> str:
        """What the step does."""
        return f"See that {self.name} stays up"


@dataclass(frozen=True, slots=True)
class Unlearn(HostStep):
    """Have a bridge that a running guest's tap has come to forget where else it heard the guest before.

    On one LAN that is its uplink, to which it would send, and so drop, what comes from there for the guest until the
    guest speaks or the entry ages (Linux 6.18).

    Args:
        domain: The domain's name.
        mac: The NIC's MAC.
        bridge: The bridge.
    """

    domain: str
    mac: str
    bridge: str

    def summary(self) -> str:
        """What the step does."""
        return f"Have bridge {self.bridge} forget where it heard NIC {self.mac} of {self.domain} before"


@dataclass(frozen=True, slots=True)
class VerifyPort(HostStep):
    """See that the kernel has the NIC of a running guest where the plan put it; changes nothing.

    Args:
        domain: The domain's name.
        mac: The NIC's MAC.
        attachment: Where it is to be.
        up: Whether the link is to be up: libvirt sets it up when the guest's CPUs run, not while it is paused.
        others: Indexes of links that might be it by their MAC, but were there before it was plugged in.
    """

    domain: str
    mac: str
    attachment: Direct | Bridge
    up: bool = True
    others: tuple[int, ...] = ()

    @property
    def touches(self) -> tuple[str, ...]:
        """The lower link of a macvtap: making or removing one can change whether it is up, and its MAC."""
        return (self.attachment.dev,) if isinstance(self.attachment, Direct) else ()

    @property
    def lent(self) -> str | None:
        """The MAC that libvirt gives to the lower link, where the NIC takes it whole."""
        match self.attachment:
            case Direct(mode=MacvtapMode.PASSTHROUGH):
                return self.mac.lower()
        return None

    def summary(self) -> str:
        """What the step does."""
        match self.attachment:
            case Direct(dev, mode):
                where = f"is a macvtap on {dev}, mode {mode.value}"
            case Bridge(name):
                where = f"is a port of bridge {name}"
        return f"Check that NIC {self.mac} of {self.domain} {where}"


@dataclass(frozen=True, slots=True)
class VerifyPeers(HostStep):
    """See that those on the LAN who answered before the change answer still; changes nothing.

    Args:
        peers: Who they are.
    """

    peers: tuple[Peer, ...]

    def summary(self) -> str:
        """What the step does."""
        return f"Check that those who answered still do: {', '.join(map(str, self.peers))}"


@dataclass(frozen=True, slots=True)
class LeaveAlone(HostStep):
    """Have whoever looks after a link let go of it, with its addresses on it.

    NetworkManager is told; a DHCP client is ended, at once: an orderly end would take the address away.
    """

    owner: Owner

    def summary(self) -> str:
        """What the step does."""
        if self.owner.client:
            return f"End {self.owner.manager} (process {self.owner.process}), so that its address stays"
        return f"Have NetworkManager leave {self.owner.link} alone (nmcli device set {self.owner.link} managed no)"


@dataclass(frozen=True, slots=True)
class KeepAddresses(HostStep):
    """Have the addresses of a link last until somebody renews them.

    Args:
        link: The link's name.
        owner: Who did so up to now.
        ipv6: Whether the IPv6 addresses are theirs too: the kernel renews what it made of a router's word.
    """

    link: str
    owner: str
    ipv6: bool

    def summary(self) -> str:
        """What the step does."""
        return f"Have the addresses of {self.link} last until {self.owner} renews them"


@dataclass(frozen=True, slots=True)
class TakeUp(HostStep):
    """Have somebody look after a link again, or a DHCP client do so on another link.

    Args:
        owner: Who, as they are to be there.
    """

    owner: Owner

    def summary(self) -> str:
        """What the step does."""
        if client := self.owner.client:
            return f"Start {' '.join(client.words)}"
        profile = f" (nmcli connection up {self.owner.profile})" if self.owner.profile else ""
        return f"Have NetworkManager manage {self.owner.link} again{profile}"
