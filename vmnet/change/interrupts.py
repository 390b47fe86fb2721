"""Ctrl-C, SIGTERM and a hang-up as a wish to stop, which is granted only where stopping is safe."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Wish:
    """Whether somebody wants us to stop, and whether that is to be heard now."""

    asked = False
    heard = True


_wish = _Wish()


@contextmanager
def held_back() -> Iterator[None]:
    """Note the signals instead of being torn out of what is being done; `check` then raises."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {n: signal.getsignal(n) for n in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup's wish, which is not ours to overrule
            signal.signal(number, _note)
    try:
        yield
    finally:
        _wish.asked = False
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def unheard() -> Iterator[None]:
    """Do not hear the wish: something is being put back, to its end."""
    _wish.heard = False
    try:
        yield
    finally:
        _wish.heard = True


def check() -> None:
    """Raise `KeyboardInterrupt` if somebody wants us to stop: called where that does no harm."""
    if _wish.asked and _wish.heard:
        _wish.asked = False
        raise KeyboardInterrupt


def _note(*_: object) -> None:
    _wish.asked = True
