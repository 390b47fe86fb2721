"""libvirt-python: its import, its event loop, and its errors told to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from vmnet.errors import VmnetError


@cache
def library() -> ModuleType:
    """libvirt-python, imported when first needed, with its habit of printing errors turned off."""
    import libvirt

    libvirt.registerErrorHandler(lambda *_: None, None)
    module: ModuleType = libvirt
    return module


@cache
def event_loop() -> None:
    """libvirt's default event loop: to be registered before a connection is opened, run while we wait."""
    library().virEventRegisterDefaultImpl()


@contextmanager
def ticking(seconds: float) -> Iterator[list[None]]:
    """Make the event loop return now and then, so that a wait can look around and a Ctrl-C is noticed."""
    lib = library()
    ticks: list[None] = []
    timer = lib.virEventAddTimeout(int(seconds * 1000), lambda *_: ticks.append(None), None)
    try:
        yield ticks
    finally:
        lib.virEventRemoveTimeout(timer)


def run_loop() -> None:
    """Let the event loop go round once: it waits for an event, or for a timer. Raises `VmnetError`."""
    with told("waiting for libvirt's events"):
        library().virEventRunDefaultImpl()


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Turn libvirt's errors into ours."""
    try:
        yield
    except library().libvirtError as error:
        raise failure(doing, error) from None


_LOST = ("libvirt-lost", "The daemon went away; see whether it runs and try again")

_KNOWN: tuple[tuple[str, str, str], ...] = (
    # libvirt's code, ours, remedy; the texts are translated, so codes decide.
    ("VIR_ERR_NO_DOMAIN", "domain-gone", "Somebody removed it meanwhile; vmnet list shows what is there"),
    ("VIR_ERR_OPERATION_DENIED", "permission-denied", "Run it as root, or as a member of the group libvirt"),
    ("VIR_ERR_ACCESS_DENIED", "permission-denied", "Run it as root, or as a member of the group libvirt"),
    ("VIR_ERR_OPERATION_TIMEOUT", "libvirt-busy", "Another job holds the domain; wait for it and try again"),
    ("VIR_ERR_RPC", *_LOST),
)


def failure(doing: str, error: Any) -> VmnetError:
    """An error of libvirt's as one of ours; `doing` is the subject of its sentence."""
    lib = library()
    number = error.get_error_code()
    known = [(code, remedy) for name, code, remedy in _KNOWN if number == getattr(lib, name)]
    if not known and error.get_error_domain() == lib.VIR_FROM_RPC:  # a closed socket has no code of its own
        known = [_LOST]
    for code, remedy in known:
        return VmnetError(code, f"{doing} failed", why=str(error).strip(), remedy=remedy)
    return VmnetError("libvirt-refused", f"{doing} failed", why=f"libvirt says: {str(error).strip()}")


def unreachable(uri: str, error: Any) -> VmnetError:
    """What kept us from connecting."""
    lib = library()
    said = str(error)
    denied = (
        lib.VIR_ERR_AUTH_FAILED,
        lib.VIR_ERR_AUTH_CANCELLED,
        lib.VIR_ERR_AUTH_UNAVAILABLE,
        lib.VIR_ERR_ACCESS_DENIED,
    )
    if error.get_error_code() in denied or error.get_int1() == 13:  # EACCES on the daemon's socket
        return VmnetError(
            "permission-denied", f"libvirt at {uri} does not let you in", why=said,
            remedy="Run it as root, or as a member of the group libvirt",
        )  # fmt: skip
    return VmnetError(
        "libvirt-unreachable", f"there is no libvirt at {uri}", why=said,
        remedy="Start it (systemctl start libvirtd, or virtqemud), or name another with -c",
    )  # fmt: skip
