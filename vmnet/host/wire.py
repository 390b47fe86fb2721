"""Speak rtnetlink over a raw socket: framing, whole dumps, and many changes in one send.

By hand, because what was dumped is to be given back byte for byte, unknown attributes too; because changes that
belong together go to the kernel in one call, between whose parts nothing can stop us; and because every command
looks at the host, and importing a library takes ten times as long as starting Python. What comes in is walked
within its bounds: an attribute that is unknown, odd or cut off is not looked at.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from struct import Struct
from types import TracebackType
from typing import Self, TypeAlias

from vmnet.errors import VmnetError
from vmnet.values import dataclass

# Names and numbers of linux/netlink.h and rtnetlink.h.
_MESSAGE = Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = Struct("=HH")  # nlattr: length, type
_TYPE, _NESTED = 0x3FFF, 0x8000  # NLA_TYPE_MASK, NLA_F_NESTED
_ERROR, _DONE = 2, 3  # NLMSG_ERROR, NLMSG_DONE
_REQUEST, _ACK, _DUMP = 0x001, 0x004, 0x300  # NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP
_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_CAPPED, _TLVS = 0x100, 0x200  # NLM_F_CAPPED, NLM_F_ACK_TLVS
_WORDS = 1  # NLMSGERR_ATTR_MSG
_SOL_NETLINK = 270
_OPTIONS = (10, 11, 12)  # NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK: else cached routes are dumped too
_LARGEST = 1 << 16  # the kernel sends 32 KiB at once at most (netlink_dump, Linux 6.18)
_ROOM = 1 << 24  # bytes for one send of some ten thousand routes, and for as many refusals of them
_SEND_ROOM, _RECEIVE_ROOM = 32, 33  # SO_SNDBUFFORCE, SO_RCVBUFFORCE
_PATIENCE = 30.0  # seconds for one answer: the kernel answers at once, unless somebody holds its lock
_TRIES = 5

CREATE, REPLACE, EXCLUSIVE, APPEND = 0x400, 0x100, 0x200, 0x800
"""NLM_F_CREATE and what goes with it."""

_REMEDIES = {
    errno.EPERM: "Run it as root",
    errno.EACCES: "Run it as root",
    errno.EBUSY: "A macvlan, macvtap or ipvlan on the link, perhaps in a container's namespace, or another "
    "master holds it: remove that first",
    errno.EEXIST: "Something made it in the meantime: run the command again to plan with what is there now",
    errno.ENODEV: "The link went away in the meantime: run the command again",
    errno.EOPNOTSUPP: "This kernel, or the driver, was built without it: leave that option out",
}

Attributes: TypeAlias = dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Message:
    """One change asked of the kernel.

    Args:
        kind: Its type (RTM_NEW..., RTM_DEL...).
        body: Header and attributes.
        flags: Beyond NLM_F_REQUEST.
        doing: What it does, as the subject of a sentence: ``Adding 192.0.2.1/24 to br0``.
        busy: What EBUSY calls for here, if not what it mostly does.
    """

    kind: int
    body: bytes
    flags: int = 0
    doing: str = ""
    busy: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the kernel did not do.

    Args:
        message: What was asked.
        number: The kernel's errno.
        words: What the kernel says besides.
    """

    message: Message
    number: int
    words: str = ""

    def error(self) -> VmnetError:
        """The refusal as an error for a person."""
        told = refused(self.message.doing, self.number, self.words)
        if self.number == errno.EBUSY and self.message.busy:
            told.remedy = self.message.busy
        return told


class Line:
    """A socket to the kernel, on which nobody else is heard; a context manager.

    It belongs to the network namespace in which it was opened.

    Args:
        protocol: Which part of the kernel is spoken to; rtnetlink by default.
    """

    def __init__(self, protocol: int = socket.NETLINK_ROUTE) -> None:
        self._protocol = protocol

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self._protocol)
        for option in _OPTIONS:
            self._socket.setsockopt(_SOL_NETLINK, option, 1)
        self._socket.connect((0, 0))
        self._roomy = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def dump(self, name: str, ask: int, body: bytes, told: int | None = None) -> list[bytes]:
        """The bodies of all entries of a table.

        Args:
            name: What the table is of, in a word.
            ask: Type of the request (RTM_GET...).
            body: What follows its header.
            told: Type of the answers; rtnetlink's (RTM_NEW...) by default.

        Raises:
            VmnetError: As `dumped`.
        """
        return dumped(self._socket, name, ask, body, told)

    def get(self, doing: str, ask: int, body: bytes) -> bytes:
        """The body of the one entry that the kernel answers a question with.

        Args:
            doing: What is asked, as the subject of a sentence.
            ask: Type of the request (RTM_GET...).
            body: What follows its header.

        Raises:
            VmnetError: The kernel refused, or did not answer (``netlink-...``).
        """
        try:
            self._socket.send(_framed(ask, _REQUEST, body))
            for kind, flags, _, answer in _framed_in(self._socket.recv(_LARGEST)):
                if kind == ask - 2:
                    return answer
                raise refused(doing, -_number(answer[:4]) or errno.EBADMSG, _words(flags, answer))
        except OSError as error:
            raise refused(doing, error.errno or errno.EIO) from error
        raise refused(doing, errno.ENODATA)

    def send(self, messages: Sequence[Message]) -> tuple[Refusal, ...]:
        """Have the kernel do all of `messages`, in order, in one call.

        A message that the kernel refuses does not keep it from doing those behind it (rtnetlink, Linux 6.18).
        Only the last is acknowledged: refusals are told without being asked for.

        Returns:
            What it did not do.

        Raises:
            VmnetError: The kernel could not be asked, or did not answer (``netlink-...``).
        """
        if not messages:
            return ()
        last = len(messages)
        request = b"".join(
            _framed(m.kind, _REQUEST | m.flags | (_ACK if n == last else 0), m.body, n)
            for n, m in enumerate(messages, 1)
        )
        try:
            self._make_room()
            self._socket.sendall(request)
            return tuple(self._refusals(messages))
        except OSError as error:
            number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno or errno.EIO
            raise refused(messages[0].doing, number) from error

    def do(self, messages: Iterable[Message]) -> None:
        """Have all of `messages` done; raise the first refusal, as an error for a person."""
        for refusal in self.send(tuple(messages)):
            raise refusal.error()

    def _refusals(self, messages: Sequence[Message]) -> Iterator[Refusal]:
        while True:
            for kind, flags, number, body in _framed_in(self._socket.recv(_LARGEST)):
                if kind != _ERROR or not 1 <= number <= len(messages):
                    continue
                if refused := -_number(body[:4]):
                    yield Refusal(messages[number - 1], refused, _words(flags, body))
                if number == len(messages):
                    return

    def _make_room(self) -> None:
        """Room for the largest send and its answers, which root may take."""
        if self._roomy:
            return
        self._socket.settimeout(_PATIENCE)
        for option in (_SEND_ROOM, _RECEIVE_ROOM):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, _ROOM)
            except PermissionError:  # then the kernel refuses the change itself
                break
        self._roomy = True


ROUTES_OF_IPV4 = 0x40
"""RTMGRP_IPV4_ROUTE, for `Heard`."""


class Heard:
    """What the kernel tells of changes from the time that it is entered, as a context manager.

    Args:
        groups: Which changes (RTMGRP_...).
    """

    def __init__(self, groups: int) -> None:
        self._groups = groups

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
        with suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, _RECEIVE_ROOM, _ROOM)
        self._socket.bind((0, self._groups))
        self._socket.setblocking(False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def bodies(self, kind: int) -> list[bytes]:
        """The bodies of all messages of a type so far; where there were too many, of the first of them."""
        found: list[bytes] = []
        with suppress(BlockingIOError):
            while True:
                try:
                    found += [body for told, _, body in messages(self._socket.recv(_LARGEST)) if told == kind]
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
        return found


def dumped(line: socket.socket, name: str, ask: int, body: bytes, told: int | None = None) -> list[bytes]:
    """One whole dump of a table: again while the kernel says that it changed under the dump.

    Raises:
        VmnetError: The kernel refused, or made no sense (``netlink-...``); ``netlink-unsteady``.
    """
    request = _framed(ask, _REQUEST | _DUMP, body)
    try:
        for _ in range(_TRIES):
            line.send(request)
            answers, torn = _answers(line, ask - 2 if told is None else told)
            if not torn:
                return answers
    except OSError as error:
        raise refused(f"Reading the {name} table", error.errno or errno.EIO) from error
    raise VmnetError(
        "netlink-unsteady",
        f"The {name} table could not be read in one piece",
        why=f"It changed during each of {_TRIES} reads",
        remedy="Try again when the host's network is quieter",
    )


def refused(doing: str, number: int, words: str = "") -> VmnetError:
    """What the kernel refuses, as an error for a person (``netlink-<errno>``).

    Args:
        doing: What was tried, as the subject of a sentence.
        number: The kernel's errno.
        words: What the kernel says besides.
    """
    name = errno.errorcode.get(number, str(number))
    return VmnetError(
        f"netlink-{name.lower()}",
        f"{doing} failed",
        why=f"The kernel says: {words or os.strerror(number)} ({name})",
        remedy=_REMEDIES.get(number, ""),
    )


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, flags and body of each message in a datagram.

    Raises:
        OSError: EBADMSG: there is none, or what follows one is none.
    """
    for kind, flags, _, body in _framed_in(data):
        yield kind, flags, body


def attributes(data: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
    """Type and value of each attribute from there on, or in a nest; nonsense ends them."""
    size, end, unpack = _ATTRIBUTE.size, len(data), _ATTRIBUTE.unpack_from  # half of a dump's time goes here
    while at + size <= end:
        length, kind = unpack(data, at)
        if not size <= length <= end - at:
            return
        yield kind & _TYPE, data[at + size : at + length]
        at += length + 3 & ~3


def nests(data: bytes, at: int = 0) -> dict[int, int]:
    """By their types, what marks those attributes from there on that say that they are nests (NLA_F_NESTED)."""
    found, size = {}, _ATTRIBUTE.size
    while at + size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not size <= length <= len(data) - at:
            break
        if kind & _NESTED:
            found[kind & _TYPE] = _NESTED
        at += aligned(length)
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to where the next begins."""
    return padded(_ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value)


def packed(pairs: Iterable[tuple[int, bytes]]) -> bytes:
    """The attributes of these types and values."""
    return b"".join(attribute(kind, value) for kind, value in pairs)


def padded(data: bytes) -> bytes:
    """The data, and zeros up to where the next may begin."""
    return data + bytes(aligned(len(data)) - len(data))


def aligned(length: int) -> int:
    """Where what follows something of this length begins."""
    return length + 3 & ~3


def _framed(kind: int, flags: int, body: bytes, number: int = 0) -> bytes:
    return padded(_MESSAGE.pack(_MESSAGE.size + len(body), kind, flags, number, 0) + body)


def _framed_in(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, flags, sequence number and body of each message in a datagram; raises as `messages`."""
    at = 0
    while not at or at < len(data):
        length, kind, flags, number, _ = _MESSAGE.unpack_from(data, at) if at + _MESSAGE.size <= len(data) else (0,) * 5
        if not _MESSAGE.size <= length <= len(data) - at:
            raise OSError(errno.EBADMSG, "")
        yield kind, flags, number, data[at + _MESSAGE.size : at + length]
        at += aligned(length)


def _answers(line: socket.socket, wanted: int) -> tuple[list[bytes], bool]:
    """The bodies of all answers to one request, and whether the table changed meanwhile."""
    answers: list[bytes] = []
    torn = False
    while True:
        data, _, cut, _ = line.recvmsg(_LARGEST)
        for kind, flags, body in messages(b"" if cut & socket.MSG_TRUNC else data):
            torn |= bool(flags & _INTERRUPTED)
            if kind in (_ERROR, _DONE):  # both begin with a negative errno, or 0
                if number := -_number(body[:4]):
                    raise OSError(number, "")
                return answers, torn
            if kind == wanted:
                answers.append(body)


def _words(flags: int, body: bytes) -> str:
    """The kernel's own words in a refusal: behind the errno and what was asked, or no more than its header."""
    if not flags & _TLVS or len(body) < 4 + _MESSAGE.size:
        return ""
    asked = _MESSAGE.size if flags & _CAPPED else aligned(_MESSAGE.unpack_from(body, 4)[0])
    return os.fsdecode(dict(attributes(body[4 + asked :])).get(_WORDS, b"").partition(b"\0")[0])


def _number(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder, signed=True)
