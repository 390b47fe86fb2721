"""Find an `<interface>` template: a file, or a name among the user's, the site's and the shipped ones.

A template may come from anywhere: what would act on the host in it is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from vmnet.errors import VmnetError
from vmnet.nic import xml
from vmnet.nic.excluded import unsafe
from vmnet.nic.model import Nic
from vmnet.nic.places import SOURCES
from vmnet.resources import shipped
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A template as a list shows it.

    Args:
        name: Its name.
        path: Its file.
        purpose: What it is for, by its leading comment; why it cannot be used, if it cannot.
        usable: Whether it can be used.
    """

    name: str
    path: Path
    purpose: str
    usable: bool

    def document(self) -> dict[str, object]:
        """The template as a JSON-able mapping with stable keys."""
        return {"name": self.name, "path": str(self.path), "purpose": self.purpose, "usable": self.usable}


def load(name: str, env: Mapping[str, str] = os.environ) -> Nic:
    """The NIC of a template.

    Args:
        name: A name such as ``direct``; with a ``/`` in it, a file.
        env: Where ``XDG_CONFIG_HOME`` and ``HOME`` are looked up.

    Raises:
        VmnetError: ``template-unknown``, ``template-unreadable``, ``template-invalid``, ``template-unsafe``.
    """
    return Nic(_parsed(Path(name) if "/" in name else find(name, env) or _unknown(name, env)))


def find(name: str, env: Mapping[str, str] = os.environ) -> Path | None:
    """The file of the template of that name, None if there is none."""
    if not name or "/" in name:
        return None
    paths = (directory / f"{name}.xml" for directory in _directories(env))
    return next((path for path in paths if _is_file(path)), None)


def available(env: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Every template by its name; the user's come before the site's, and these before the shipped ones."""
    found: dict[str, Path] = {}
    for directory in _directories(env):
        with suppress(PermissionError):  # a home of somebody else has no templates for us
            for path in sorted(directory.glob("*.xml")):
                if path.is_file():  # a FIFO would have us wait for ever
                    found.setdefault(path.stem, path)
    return found


def described(env: Mapping[str, str] = os.environ) -> Iterator[Template]:
    """Every template by name, with what it is for."""
    for name, path in sorted(available(env).items()):
        try:
            yield Template(name, path, _purpose(_parsed(path)), usable=True)
        except VmnetError as error:
            yield Template(name, path, f"not to be used: {error.why or error.what}", usable=False)


def _parsed(path: Path) -> xml.Element:
    """The `<interface>` of a template's file, safe to use."""
    try:
        with path.open("rb") as file:
            text = file.read(xml.LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise VmnetError(
            "template-unreadable", f"the template {xml.quoted(str(path))} cannot be read", why=why
        ) from error
    try:
        root = xml.parse(text)
        Nic(root)
    except VmnetError as error:
        why = ": ".join(part for part in (error.what, error.why) if part)
        raise _invalid(path, why) from error
    if root.get("type") not in SOURCES:
        kind = xml.quoted(root.get("type") or "")
        raise _invalid(path, f"its type is {kind}, and vmnet makes {', '.join(SOURCES)} NICs")
    for part, why in unsafe(root):
        raise VmnetError(
            "template-unsafe",
            f"the template {xml.quoted(str(path))} has {xml.escaped(part)}, which no template may have",
            why=why,
            remedy="Take it out; a field that you mean can be given with --set FIELD=VALUE",
        )
    return root


def _invalid(path: Path, why: str) -> VmnetError:
    return VmnetError(
        "template-invalid",
        f"the template {xml.quoted(str(path))} is no <interface> that vmnet can start from",
        why=why,
        remedy="Correct the file; vmnet xml --direct DEV shows what one looks like",
    )


def _purpose(root: xml.Element) -> str:
    """The comment before the `<interface>`, on one line."""
    before = root.getprevious()
    return "" if before is None or isinstance(before.tag, str) else " ".join((before.text or "").split())


def _is_file(path: Path) -> bool:
    with suppress(OSError):  # a home of somebody else has no templates for us, nor has a name that is too long
        return path.is_file()
    return False


def _unknown(name: str, env: Mapping[str, str]) -> NoReturn:
    names = ", ".join(map(xml.escaped, sorted(available(env))))
    raise VmnetError(
        "template-unknown",
        f"there is no template {xml.quoted(name)}",
        remedy=f"Give one of {names}, or a file with a / in its path",
    )


def _directories(env: Mapping[str, str]) -> list[Path]:
    config = env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or Path.home(), ".config")
    return [Path(config, "vmnet", "templates"), Path("/etc/vmnet/templates"), shipped()]
