"""The one place that speaks libvirt: a connection, its domains, and errors told to a person."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from vmnet.change.interrupts import check
from vmnet.errors import VmnetError
from vmnet.guest.binding import event_loop, failure, library, run_loop, ticking, told, unreachable
from vmnet.guest.kinds import Source, State, Target, Unplug
from vmnet.nic.version import Version
from vmnet.values import dataclass

_POLL_SECONDS = 0.5
"""How often an unplug is looked for besides its event, which a reconnect can lose."""


class Connection:
    """A connection to a libvirt daemon; a context manager.

    Args:
        uri: libvirt's URI, or an alias for one.
        readonly: Whether only to look.

    Raises:
        VmnetError: ``libvirt-unreachable``, ``permission-denied``.
    """

    def __init__(self, uri: str, *, readonly: bool = False) -> None:
        lib = library()
        event_loop()
        try:
            self._raw = lib.openReadOnly(uri) if readonly else lib.open(uri)
        except lib.libvirtError as error:
            raise unreachable(uri, error) from None
        with told(f"asking {uri} who it is"):
            self.uri = str(self._raw.getURI())  # `uri` may be an alias from libvirt's own configuration
        self._version: Version | None = None
        self._asked_for: dict[str, Handle] = {}

    @classmethod
    def to_look(cls, uri: str) -> Connection:
        """A connection that may write, for libvirt asks an agent only there; else one that may only look."""
        try:
            return cls(uri)
        except VmnetError as error:
            if error.code != "permission-denied":
                raise
        return cls(uri, readonly=True)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(library().libvirtError):
            self._raw.close()

    @property
    def is_local(self) -> bool:
        """Whether the daemon runs on this host, so that this host's links are the guests' links."""
        return not urlsplit(self.uri).hostname and urlsplit(self.uri).scheme != "test"

    @property
    def is_session(self) -> bool:
        """Whether it is a user's own daemon, which may not make taps or macvtaps."""
        return urlsplit(self.uri).path.rstrip("/").endswith("/session")

    @contextmanager
    def hearing(self, event: int, heard: Callable[[str], None]) -> Iterator[None]:
        """Have an event (VIR_DOMAIN_EVENT_ID_...) of any domain told, by UUID, while the event loop runs."""
        with _registered(self._raw, None, event, lambda _, raw, *__: heard(raw.UUIDString())):
            yield

    @contextmanager
    def parting(self, then: Callable[[], None]) -> Iterator[None]:
        """Have it told that the daemon went away, while the event loop runs."""
        with told("listening for libvirt's events"):
            self._raw.registerCloseCallback(lambda *_: then(), None)
        try:
            yield
        finally:
            with contextlib.suppress(library().libvirtError):
                self._raw.unregisterCloseCallback()

    def libvirt(self) -> Version:
        """The daemon's version, which stays as long as the connection does."""
        if self._version is None:
            with told("asking for libvirt's version"):
                self._version = Version.of_number(self._raw.getLibVersion())
        return self._version

    def domains(self) -> list[Glimpse]:
        """Every domain, by name, in two round trips."""
        lib = library()
        kinds = ((lib.VIR_CONNECT_LIST_DOMAINS_PERSISTENT, True), (lib.VIR_CONNECT_LIST_DOMAINS_TRANSIENT, False))
        with told("listing the domains"):
            found = [
                Glimpse(Handle(self._raw, raw), raw.ID() != -1, persistent)
                for kind, persistent in kinds
                for raw in self._raw.listAllDomains(kind)
            ]
        return sorted(found, key=lambda seen: seen.handle.name)

    def again(self, uuid: str) -> Handle:
        """A domain that was seen before. Raises `VmnetError` ``domain-gone``, here or when it is used."""
        if uuid in self._asked_for:
            return self._asked_for[uuid]
        with told(f"looking up domain {uuid}"):
            return Handle(self._raw, self._raw.lookupByUUIDString(uuid))

    def domain(self, name: str) -> Handle:
        """The domain of that name, UUID or id.

        Raises:
            VmnetError: ``domain-unknown``, with the nearest names.
        """
        lib = library()
        lookups = [self._raw.lookupByName, self._raw.lookupByUUIDString]
        if name.isdecimal():
            lookups.append(lambda text: self._raw.lookupByID(int(text)))
        for lookup in lookups:
            try:
                handle = Handle(self._raw, lookup(name))
                self._asked_for[handle.uuid] = handle
                return handle
            except lib.libvirtError as error:
                if error.get_error_code() not in (lib.VIR_ERR_NO_DOMAIN, lib.VIR_ERR_INVALID_ARG):
                    raise failure(f"looking up domain {name}", error) from None
            except (ValueError, OverflowError):
                continue  # libvirt-python's own checks: a NUL in a name, an id beyond a C int
        raise _no_domain(name, [seen.handle.name for seen in self.domains()])

    def network_xml(self, name: str) -> str | None:
        """The definition of a libvirt network, None if there is none."""
        try:
            return str(self._raw.networkLookupByName(name).XMLDesc())
        except library().libvirtError:
            return None

    def has_network(self, name: str, *, active: bool) -> bool:
        """Whether libvirt has a network of that name, and has started it if `active`; also where it cannot tell."""
        lib = library()
        try:
            network = self._raw.networkLookupByName(name)
            return not active or bool(network.isActive())
        except lib.libvirtError as error:
            return bool(error.get_error_code() != lib.VIR_ERR_NO_NETWORK)

    def has_filter(self, name: str) -> bool:
        """Whether libvirt has a packet filter of that name; also where it cannot tell, for want of nwfilter."""
        lib = library()
        try:
            self._raw.nwfilterLookupByName(name)
        except lib.libvirtError as error:
            return bool(error.get_error_code() != lib.VIR_ERR_NO_NWFILTER)
        return True


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A domain in the list of all, with what the list itself tells.

    Args:
        handle: The domain.
        active: Whether it ran, paused or not.
        persistent: Whether it had a definition that outlives it.
    """

    handle: Handle
    active: bool
    persistent: bool


class Handle:
    """One domain as libvirt has it now; made by `Connection`."""

    def __init__(self, connection: Any, raw: Any) -> None:
        self._connection = connection
        self._raw = raw
        self.name: str = raw.name()
        self.uuid: str = raw.UUIDString()

    def state(self) -> State:
        """What it is doing."""
        with told(f"reading the state of {self.name}"):
            number = self._raw.state()[0]
        states = list(State)
        return states[number] if number < len(states) else State.NO_STATE

    def glimpse(self) -> Glimpse:
        """Whether it runs and is persistent now."""
        with told(f"reading the state of {self.name}"):
            return Glimpse(self, bool(self._raw.isActive()), bool(self._raw.isPersistent()))

    def xml(self, target: Target) -> str:
        """The live or the persistent document."""
        with told(f"reading domain {self.name}"):
            flags = library().VIR_DOMAIN_XML_INACTIVE if target is Target.CONFIG else 0
            return str(self._raw.XMLDesc(flags))

    def definition(self) -> str:
        """The persistent document with its secrets, as it can be defined again. Raises `VmnetError`."""
        lib = library()
        with told(f"reading the definition of {self.name}"):
            return str(self._raw.XMLDesc(lib.VIR_DOMAIN_XML_INACTIVE | lib.VIR_DOMAIN_XML_SECURE))

    def define(self, definition: str) -> None:
        """Replace the persistent document. Raises `VmnetError`.

        It is not held against libvirt's schema, which may refuse what libvirt took before and nobody changes now.
        """
        with told(f"changing the definition of {self.name}"):
            self._connection.defineXML(definition)

    def is_saved(self) -> bool:
        """Whether a managed save waits to be resumed: its own XML then counts, not the definition."""
        with told(f"reading the state of {self.name}"):
            return bool(self._raw.hasManagedSaveImage())

    def attach(self, nic_xml: str, target: Target) -> None:
        """Plug a NIC into the running guest, or add it to the definition. Raises `VmnetError`."""
        with told(f"attaching the NIC to {self.name}"):
            self._raw.attachDeviceFlags(nic_xml, int(target))

    def update(self, nic_xml: str, target: Target) -> None:
        """Replace a NIC by another state of it; what the XML leaves out is a change too. Raises `VmnetError`."""
        with told(f"changing the NIC of {self.name}"):
            self._raw.updateDeviceFlags(nic_xml, int(target))

    def limit(self, nic: str, rates: Mapping[str, int]) -> None:
        """Set bandwidth of the running guest's NIC, and nothing else of it.

        Args:
            nic: Its MAC address or target.
            rates: ``inbound.average`` and so on, KiB/s (burst: KiB); an average of 0 takes the direction's limit away.

        Raises:
            VmnetError: libvirt refused.
        """
        with told(f"limiting the NIC of {self.name}"):
            self._raw.setInterfaceParameters(nic, dict(rates), int(Target.LIVE))

    def forget(self, nic_xml: str) -> None:
        """Take a NIC out of the persistent definition; that it is out already is well. Raises `VmnetError`."""
        lib = library()
        try:
            self._raw.detachDeviceFlags(nic_xml, int(Target.CONFIG))
        except lib.libvirtError as error:
            if error.get_error_code() != lib.VIR_ERR_DEVICE_MISSING:
                raise failure(f"taking the NIC out of the definition of {self.name}", error) from None

    def unplug(self, alias: str, seconds: float) -> Unplug:
        """Ask the guest to let go of a device, and wait until it has.

        Args:
            alias: The device's alias in the live document.
            seconds: How long to wait for the guest.

        Returns:
            PENDING if the guest has not answered: the request cannot be taken back, it may still follow it.
        """
        lib = library()
        answers: list[Unplug] = []
        with (
            self._listening(lib.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, alias, lambda: answers.append(Unplug.REMOVED)),
            self._listening(
                lib.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, alias, lambda: answers.append(Unplug.REFUSED)
            ),
            ticking(_POLL_SECONDS) as ticks,
        ):
            deadline = time.monotonic() + seconds
            self._request_unplug(alias)
            while True:
                ticks.clear()
                while not (answers or ticks):  # each call of ours wakes the loop once: look around at ticks only
                    run_loop()
                if answers:
                    return answers[0]
                if not self._has_device(alias):
                    return Unplug.REMOVED
                if time.monotonic() > deadline:
                    return Unplug.PENDING
                check()

    def addresses(self, source: Source) -> Mapping[str, Sequence[str]]:
        """IP addresses by MAC, as one source knows them; empty when it does not answer."""
        lib = library()
        number = {
            Source.AGENT: lib.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT,
            Source.LEASE: lib.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
        }[source]
        try:
            found = self._raw.interfaceAddresses(number) or {}
        except lib.libvirtError:
            return {}
        return {
            (nic["hwaddr"] or "").lower(): [f"{a['addr']}/{a['prefix']}" for a in nic["addrs"] or ()]
            for nic in found.values()
        }

    def _request_unplug(self, alias: str) -> None:
        lib = library()
        try:
            self._raw.detachDeviceAlias(alias, int(Target.LIVE))
        except lib.libvirtError as error:
            # QEMU refuses a second request while the guest still ponders the first (no code of its own in libvirt).
            if "in the process of unplug" not in str(error):
                raise failure(f"unplugging the NIC from {self.name}", error) from None

    def _has_device(self, alias: str) -> bool:
        lib = library()
        try:
            return bool(self._raw.isActive()) and f"<alias name='{alias}'/>" in self._raw.XMLDesc()
        except lib.libvirtError as error:
            if error.get_error_code() == lib.VIR_ERR_NO_DOMAIN:
                return False
            raise failure(f"reading domain {self.name}", error) from None

    @contextmanager
    def _listening(self, event: int, alias: str, then: Any) -> Iterator[None]:
        def heard(_connection: Any, _domain: Any, device: str, _opaque: Any) -> None:
            if device == alias:
                then()

        with _registered(self._connection, self._raw, event, heard):
            yield


@contextmanager
def _registered(connection: Any, domain: Any, event: int, callback: Callable[..., None]) -> Iterator[None]:
    """Listen for an event of one domain, or of all."""
    with told("listening for libvirt's events"):
        number = connection.domainEventRegisterAny(domain, event, callback, None)
    try:
        yield
    finally:
        with contextlib.suppress(library().libvirtError):
            connection.domainEventDeregisterAny(number)


def _no_domain(name: str, known: Sequence[str]) -> VmnetError:
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=3)
    shown = near or known[:8]
    return VmnetError(
        "domain-unknown",
        f"there is no domain {name!r}",
        remedy=("Did you mean " if near else "There are " if shown else "No domain is defined here") + ", ".join(shown),
    )
