"""`vmnet check`: what schema and rules have to say of somebody's XML."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Annotated

import typer

from vmnet.cli.face import facing
from vmnet.cli.options import Json
from vmnet.errors import ExitCode, VmnetError
from vmnet.nic.version import Version
from vmnet.nic.xml import LIMIT_BYTES, quoted
from vmnet.operations.check import check as check_document
from vmnet.render.check import checked as as_text

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_EXAMPLES = """\b
Examples:
  vmnet check nic.xml
  virsh dumpxml web --inactive | vmnet check - --libvirt 11.3
"""


@app.command(epilog=_EXAMPLES)
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A domain's XML, or one <interface>; - for stdin.")],
    libvirt: Annotated[
        str | None, typer.Option("--libvirt", metavar="VERSION", help="For this libvirt; else for the newest known.")
    ] = None,
    json: Json = False,
) -> None:
    """Check NICs against libvirt's schema and the rules that libvirt enforces late, in silence or never.

    Exit code 1 if there is an error. Nothing is asked of libvirt or of the host.
    """
    with facing(json) as face:
        result = check_document(_read(file), None if libvirt is None else Version.parse(libvirt))
        face.result({"file": file, **result.document()}, as_text(file, result))
        if result.has_errors:
            raise typer.Exit(int(ExitCode.REFUSED))


def _read(file: str) -> bytes:
    """The file's bytes, and no more of them than would be looked at."""
    try:
        if file == "-":
            if sys.stdin is None:
                raise OSError(errno.EBADF, "stdin was closed before vmnet began")
            return sys.stdin.buffer.read(LIMIT_BYTES + 1)
        if not file:  # which Path takes for the folder we are in
            raise OSError(errno.ENOENT, "it has no name")
        with Path(file).open("rb") as opened:
            return opened.read(LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise VmnetError("file-unreadable", f"the file {quoted(file)} cannot be read", why=why) from error
