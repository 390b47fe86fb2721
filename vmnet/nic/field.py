"""A field of the vocabulary: what it is called, where it lives, what it can be, what it takes to change it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from vmnet.errors import UsageError
from vmnet.nic import xml
from vmnet.nic.attachment import Fits
from vmnet.nic.places import At, Place
from vmnet.nic.types import Type
from vmnet.nic.version import Version
from vmnet.values import dataclass

if TYPE_CHECKING:
    from vmnet.nic.model import Nic

T = TypeVar("T")


class Live(StrEnum):
    """What it takes for a running guest to get a new value of a field."""

    LIVE = "live"
    """Nothing: libvirt changes it under the guest."""
    REPLUG = "replug"
    """Unplugging the NIC and plugging it in again: the guest sees it go and come. libvirt refuses to change it."""
    IGNORED = "ignored"
    """As `REPLUG`, but libvirt does not refuse: it answers success and changes nothing."""
    NEXT_BOOT = "next-boot"
    """The guest's next start."""


@dataclass(frozen=True, slots=True)
class Since:
    """A verdict that came with a libvirt, and the one that was true before.

    Args:
        libvirt: The version, such as ``10.0.0``.
        now: What it takes since then.
        before: What it took until then.
    """

    libvirt: str
    now: Live
    before: Live


def shown(value: object) -> str:
    """A field's value as a person reads it, None too."""
    return "unset" if value is None else str(value)


class Field(Generic[T]):
    """One field of a NIC.

    On the class `Nic` it is the field; on a `Nic` it is the field's value there, None where it is not set.

    Args:
        place: Where the value lives; a `str` is a path.
        type: The values it can have.
        live: What it takes to change it on a running guest.
        since: The libvirt that brought it.
        help: One line for the reader of ``--help``.
        fits: The attachments on which libvirt takes it.
        daily: Whether it has an option of its own on the command line; the others are reached with ``--set``.
        needs: The field without which it means nothing, and with which it goes.
    """

    name: str

    def __init__(
        self,
        place: str | Place,
        type: Type[T],
        live: Live | Since,
        since: str,
        help: str,
        *,
        fits: Fits = Fits.EVERY,
        daily: bool = False,
        needs: str = "",
    ) -> None:
        self.place = At(place) if isinstance(place, str) else place
        self.type = type
        self.fits = fits
        self.verdict = live
        self.since = Version.parse(since)
        self.help = help
        self.daily = daily
        self.needs = needs
        head, slash, _ = self.place.paths[0].partition("/")
        self.element = head if slash else ""
        """The child of `<interface>` that holds it; empty if an attribute of `<interface>` itself does."""

    def __set_name__(self, owner: object, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, nic: None, owner: object) -> Field[T]: ...
    @overload
    def __get__(self, nic: Nic, owner: object) -> T | None: ...
    def __get__(self, nic: Nic | None, owner: object) -> Field[T] | T | None:
        return self if nic is None else self.read(nic._element)

    @property
    def option(self) -> str:
        """How it is given on the command line."""
        return "--" + self.name.replace("_", "-") if self.daily else f"--set {self.name}"

    def live(self, libvirt: Version | None = None) -> Live:
        """What it takes to change it on a running guest.

        Args:
            libvirt: The daemon's version; None for the newest known.
        """
        match self.verdict:
            case Live() as always:
                return always
            case Since(version, now, before):
                return now if libvirt is None or libvirt >= Version.parse(version) else before

    def parse(self, text: str) -> T:
        """The value that a person means by `text`.

        Raises:
            UsageError: ``bad-value``.
        """
        try:
            return self.type.parse(text)
        except ValueError as reason:
            raise UsageError(
                "bad-value",
                f"{self.option} cannot be {xml.quoted(text)}",
                why=str(reason),
                remedy=f"Give {self.type.means}",
            ) from None

    def read(self, element: xml.Element) -> T | None:
        """The value in an `<interface>`."""
        text = self.place.read(element)
        return None if text is None else self.type.read(text)

    def patch(self, element: xml.Element, value: T | str | None) -> None:
        """Write a value, or its text, into an `<interface>`; None removes it.

        Raises:
            UsageError: The value is none of the field's, or the field cannot be set or removed there.
        """
        if value is None:
            self.place.clear(element)
        else:
            self.place.write(element, str(self.parse(str(value))))
