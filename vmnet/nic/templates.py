"""Find an `<interface>` template: a file, or a name among the user's, the site's and the shipped ones."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from vmnet.errors import VmnetError
from vmnet.nic import xml
from vmnet.nic.model import Nic
from vmnet.resources import shipped


def load(name: str, env: Mapping[str, str] = os.environ) -> Nic:
    """The NIC of a template.

    Args:
        name: A name such as ``direct``; with a ``/`` in it, a file.
        env: Where ``XDG_CONFIG_HOME`` and ``HOME`` are looked up.

    Raises:
        VmnetError: ``template-unknown``, ``template-unreadable``, ``template-invalid``.
    """
    path = Path(name) if "/" in name else _find(name, env)
    try:
        with path.open("rb") as file:
            text = file.read(xml.LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise VmnetError(
            "template-unreadable", f"the template {xml.quoted(str(path))} cannot be read", why=why
        ) from error
    try:
        return Nic.parse(text)
    except VmnetError as error:
        raise VmnetError(
            "template-invalid",
            f"the template {xml.quoted(str(path))} is no <interface>",
            why=": ".join(part for part in (error.what, error.why) if part),
            remedy="Correct the file; vmnet xml --direct DEV shows what one looks like",
        ) from error


def available(env: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """Every template by its name; the user's come before the site's, and these before the shipped ones."""
    found: dict[str, Path] = {}
    for directory in _directories(env):
        with suppress(PermissionError):  # a home of somebody else has no templates for us
            for path in sorted(directory.glob("*.xml")):
                found.setdefault(path.stem, path)
    return found


def _find(name: str, env: Mapping[str, str]) -> Path:
    templates = available(env)
    if name not in templates:
        names = ", ".join(map(xml.escaped, sorted(templates)))
        raise VmnetError(
            "template-unknown",
            f"there is no template {xml.quoted(name)}",
            remedy=f"Give one of {names}, or a file with a / in its path",
        )
    return templates[name]


def _directories(env: Mapping[str, str]) -> list[Path]:
    config = env.get("XDG_CONFIG_HOME") or Path(env.get("HOME") or Path.home(), ".config")
    return [Path(config, "vmnet", "templates"), Path("/etc/vmnet/templates"), shipped()]
