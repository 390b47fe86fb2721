"""Waiting for what happens to domains, and for whatever else is waited for together with it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Set
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

from vmnet.change.interrupts import check, held_back
from vmnet.errors import VmnetError
from vmnet.guest.binding import library, ticking, told
from vmnet.guest.connection import Connection

_TOLD = ("LIFECYCLE", "DEVICE_ADDED", "DEVICE_REMOVED", "AGENT_LIFECYCLE", "NIC_MAC_CHANGE")
"""What can change the NICs of a domain or how they are reached; the last came with libvirt 11.2."""


class Events:
    """What happens to the domains of a connection, as a context manager: listen, look, and only then wait.

    Args:
        connection: A connection; one that may only look hears as much.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._news: set[str] = set()
        self._woken = False
        self._is_lost = False

    def __enter__(self) -> Self:
        lib = library()
        with ExitStack() as stack:
            for name in _TOLD:
                if (event := getattr(lib, f"VIR_DOMAIN_EVENT_ID_{name}", None)) is not None:
                    stack.enter_context(self._connection.hearing(event, lambda uuid: self._news.add(uuid)))
            stack.enter_context(self._connection.parting(self._parted))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def also(self, descriptor: int, then: Callable[[], None], *, readable: bool = True) -> None:
        """Wake for a descriptor too.

        Args:
            descriptor: What is polled.
            then: Called when it wakes; must not raise.
            readable: Wake when there is something to read; else only when its other end is closed.
        """
        lib = library()

        def woken(*_: object) -> None:
            self._woken = True
            then()

        events = lib.VIR_EVENT_HANDLE_READABLE if readable else lib.VIR_EVENT_HANDLE_ERROR
        self._stack.callback(lib.virEventRemoveHandle, lib.virEventAddHandle(descriptor, events, woken, None))

    def wait(self, seconds: float | None = None, *, gather: float) -> Set[str]:
        """Wait until something happens, and a little longer for what comes with it.

        Args:
            seconds: The longest to wait for the first; None for as long as it takes.
            gather: How long to wait for more after it, seconds.

        Returns:
            The UUIDs of the domains that something happened to.

        Raises:
            VmnetError: ``libvirt-lost``.
            KeyboardInterrupt: A signal asks to stop: it is never raised inside libvirt.
        """
        with held_back(), _waking():
            self._run_until(lambda: bool(self._news) or self._woken, seconds)
            self._run_until(lambda: False, gather)
        news, self._news, self._woken = self._news, set(), False
        return news

    def _run_until(self, so: Callable[[], bool], seconds: float | None) -> None:
        with ExitStack() as stack:
            ticks = stack.enter_context(ticking(seconds)) if seconds is not None else []
            while not (so() or ticks):
                with told("waiting for libvirt's events"):
                    library().virEventRunDefaultImpl()
                check()
                if self._is_lost:
                    raise VmnetError(
                        "libvirt-lost",
                        "the connection to libvirt is lost",
                        why="The daemon went away",
                        remedy="See whether it runs and try again",
                    )

    def _parted(self) -> None:
        self._is_lost = True


@contextmanager
def _waking() -> Iterator[None]:
    """Let a signal wake the event loop, which waits in C and would not notice it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    lib = library()
    heard, told_to = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    handle = lib.virEventAddHandle(heard, lib.VIR_EVENT_HANDLE_READABLE, lambda *_: os.read(heard, 4096), None)
    before = signal.set_wakeup_fd(told_to, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        lib.virEventRemoveHandle(handle)
        os.close(heard)
        os.close(told_to)
