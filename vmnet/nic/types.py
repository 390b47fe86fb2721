"""Types of the vocabulary's values: how a person spells one, and how the XML does.

A value is written as `str(value)`. Reading XML is lenient, because a guest's own definition is a fact whether
vmnet would have written it or not; parsing what a person says is strict.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class Type(ABC, Generic[T]):
    """A set of values and their spelling.

    Attributes:
        metavar: Placeholder of a value in help texts.
        means: What a value is, as the object of a sentence: ``a number from 68 to 65535``.
        choices: All spellings, where they are few; for completion.
        json: The values as JSON Schema.
    """

    metavar: str
    means: str
    choices: tuple[str, ...] = ()
    json: Mapping[str, Any]

    @abstractmethod
    def parse(self, text: str) -> T:
        """The value that a person means by `text`. Raises `ValueError` with the reason."""

    @abstractmethod
    def read(self, text: str) -> T | None:
        """The value that XML means by `text`, None if it is no value of this type."""


class Int(Type[int]):
    """A whole number from `low` to `high`, both included.

    Args:
        low: The least.
        high: The greatest.
        unset: The one that is as if none were given: libvirt takes it and does not keep it.
    """

    metavar = "N"

    def __init__(self, low: int, high: int, unset: int | None = None) -> None:
        self.low, self.high, self.unset = low, high, unset
        self.means = f"a number from {low} to {high}"
        self.json = {"type": "integer", "minimum": low, "maximum": high}

    def parse(self, text: str) -> int:
        """The number in decimal digits."""
        value = _whole(text)
        if value is None:
            raise ValueError("it is not a whole number in decimal digits")
        if not self.low <= value <= self.high:
            raise ValueError(f"it is not between {self.low} and {self.high}")
        return value

    def read(self, text: str) -> int | None:
        """The number, whatever its size; None for the one that is none."""
        value = _whole(text)
        return None if value == self.unset else value


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,10}", text) else None


class PowerOfTwo(Int):
    """A power of two from `low` to `high`, both included and powers of two."""

    def __init__(self, low: int, high: int) -> None:
        super().__init__(low, high)
        powers = [1 << n for n in range(low.bit_length() - 1, high.bit_length())]
        self.choices = tuple(map(str, powers))
        self.means = "one of " + ", ".join(self.choices)
        self.json = {"enum": powers}

    def parse(self, text: str) -> int:
        """The number in decimal digits."""
        value = super().parse(text)
        if value & (value - 1):
            raise ValueError("it is not a power of two")
        return value


class Choice(Type[E]):
    """A member of an enum, by its value."""

    def __init__(self, members: type[E]) -> None:
        self._by_text = {m.value: m for m in members}
        self.choices = tuple(self._by_text)
        self.metavar = "|".join(self.choices)
        self.means = "one of " + ", ".join(self.choices)
        self.json = {"enum": list(self.choices)}

    def parse(self, text: str) -> E:
        """The member of that value."""
        if text not in self._by_text:
            raise ValueError("there is no such choice")
        return self._by_text[text]

    def read(self, text: str) -> E | None:
        """The member of that value, None if there is none."""
        return self._by_text.get(text)


class YesNo(StrEnum):
    """How libvirt spells most booleans."""

    YES = "yes"
    NO = "no"


class OnOff(StrEnum):
    """How libvirt spells the booleans of drivers."""

    ON = "on"
    OFF = "off"


class Text(Type[str]):
    """A text with a rule.

    Args:
        metavar: Placeholder in help texts.
        means: What the text is.
        check: Returns the text in its normal form, or raises `ValueError` with the reason.
        pattern: A regular expression for all of the text, for JSON Schema: what passes `check` matches it.
    """

    def __init__(self, metavar: str, means: str, check: Callable[[str], str], pattern: str) -> None:
        self.metavar, self.means, self._check = metavar, means, check
        self.json = {"type": "string", "pattern": f"^(?:{pattern})$"}

    def parse(self, text: str) -> str:
        """The text in its normal form."""
        return self._check(text)

    def read(self, text: str) -> str | None:
        """The text in its normal form, or as it is where it breaks the rule."""
        try:
            return self._check(text)
        except ValueError:
            return text


class Verbatim(Text):
    """A text that has one spelling: what XML says is what it means, whether it keeps the rule or not."""

    def read(self, text: str) -> str | None:
        """The text as it is; an empty one is none."""
        return text or None


RESERVED_TARGETS = ("vnet", "vif", "macvtap", "macvlan")
"""Prefixes of names that libvirt gives itself, and strips from a persistent definition (9.0 to 12.8)."""


def device(text: str) -> str:
    """Check the name of a link by the kernel's rules (dev_valid_name), and by libvirt's schema.

    Raises:
        ValueError: With the reason.
    """
    if not text:
        raise ValueError("it is empty")
    if len(text) > 15:
        raise ValueError(f"it has {len(text)} characters, and the kernel takes 15 at most")
    if text in (".", ".."):
        raise ValueError("the kernel does not take that name")
    if text.startswith("-"):
        raise ValueError("it starts with '-'")
    if bad := re.search("[^a-zA-Z0-9_.-]", text):
        raise ValueError(f"a device name cannot contain {bad[0]!r}")
    return text


def target(text: str) -> str:
    """Check the name that a tap or macvtap is to have on the host.

    Raises:
        ValueError: With the reason.
    """
    if text.startswith(RESERVED_TARGETS):
        raise ValueError(f"libvirt keeps the names {', '.join(p + '*' for p in RESERVED_TARGETS)} for itself")
    return device(text)


def mac(text: str) -> str:
    """A unicast MAC address in lower case.

    Raises:
        ValueError: With the reason.
    """
    text = text.lower()
    if not _MAC_FORM(text):
        raise ValueError("it is not of the form 52:54:00:12:34:56")
    if int(text[:2], 16) & 1:
        raise ValueError("it is a multicast address, and a NIC has a unicast one: its first byte is even")
    if text == "00:00:00:00:00:00":
        raise ValueError("the address of all zeros is none")
    return text


_MAC_FORM = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}").fullmatch


def pci(text: str) -> str:
    """A PCI address with its domain, in lower case: ``0000:05:00.0``.

    Raises:
        ValueError: With the reason.
    """
    match = re.fullmatch("(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([01][0-9a-f])[.]([0-7])", text.lower())
    if not match:
        raise ValueError("it is not of the form 0000:05:00.0, slot 1f and function 7 at most")
    normal = f"{match[1] or '0000'}:{match[2]}:{match[3]}.{match[4]}"
    if normal == "0000:00:00.0":
        raise ValueError("libvirt takes the address of all zeros for none")
    return normal


def path(text: str) -> str:
    """An absolute path of printable characters.

    Raises:
        ValueError: With the reason.
    """
    if not text.startswith("/") or len(text) < 2:
        raise ValueError("it does not start with '/' and go on")
    if not text.isprintable():
        raise ValueError("it has characters that cannot be shown")
    return text


def uuid(text: str) -> str:
    """A UUID in lower case.

    Raises:
        ValueError: With the reason.
    """
    if not re.fullmatch(_UUID, text):
        raise ValueError("it is not of the form 8-4-4-4-12 hexadecimal digits")
    return text.lower()


def matching(metavar: str, means: str, pattern: str, reason: str) -> Verbatim:
    """The texts that match `pattern` as a whole; others are wrong for `reason`."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(reason)
        return text

    return Verbatim(metavar, means, check, pattern)


_DEVICE = "[a-zA-Z0-9_.][a-zA-Z0-9_.-]{0,14}"
_MAC = "[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}"
_PCI = "([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F][.][0-7]"
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

YESNO, ONOFF = Choice(YesNo), Choice(OnOff)
DEVICE = Verbatim("DEV", "the name of a link, 15 characters at most", device, _DEVICE)
BRIDGE_NAME = Verbatim("NAME", "the name of a bridge, 15 characters at most", device, _DEVICE)
TARGET = Verbatim("DEV", "a name of 15 characters at most that libvirt does not use itself", target, _DEVICE)
MAC = Text("MAC", "a unicast address like 52:54:00:12:34:56", mac, _MAC)
PCI = Verbatim("PCI", "a PCI address like 0000:05:00.0", pci, _PCI)  # its place reads it in its normal form
PATH = Verbatim("PATH", "an absolute path", path, "/.+")
UUID = Text("UUID", "a UUID", uuid, _UUID)
NETWORK_NAME = matching(
    "NAME",
    "the name of a libvirt network",
    # libvirt takes any text without a slash or a line's end; a name is shown and typed.
    "[!-.0-~]([ -.0-~]{0,62}[!-.0-~])?",
    "a network's name has up to 64 printable ASCII characters, no '/', no blank at its ends",
)
PORTGROUP = matching(
    "NAME",
    "the name of a port group",
    "[a-zA-Z0-9_.:/-]{1,64}",
    "a port group's name has letters, digits, '_', '.', ':', '/' and '-' only",
)
ALIAS = matching(
    "ua-NAME",
    "a name of letters, digits, '_', '.' and '-' that starts with 'ua-'",
    # libvirt overwrites an alias without that prefix with its own (since 3.9.0).
    "ua-[a-zA-Z0-9_.-]+",
    "a user's alias starts with 'ua-', then has letters, digits, '_', '.', '-'",
)
MODEL = matching(
    "MODEL",
    "a model that QEMU knows, such as virtio or e1000e",
    "[a-zA-Z0-9_-]+",
    "a model's name has letters, digits, '_' and '-' only",
)
FILTER = matching(
    "NAME",
    "the name of a network filter, such as clean-traffic",
    "[a-zA-Z_][a-zA-Z0-9_.-]*",
    "a filter's name starts with a letter or '_', then has letters, digits, '_', '.', '-'",
)
PROFILE = matching(
    "TEXT", "a port profile of 39 characters at most", "[!-~]{1,39}", "it has 1 to 39 characters of ASCII, no blanks"
)
LOADPARM = matching(
    "TEXT",
    "1 to 8 letters, digits, '.' and blanks",
    # libvirt trims and upper-cases nothing: what it prints back is what it was given.
    "[a-zA-Z0-9.]([a-zA-Z0-9. ]{0,6}[a-zA-Z0-9.])?",
    "it has 1 to 8 letters, digits, '.' and, within, blanks",
)
