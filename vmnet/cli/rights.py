"""Who may change the host, and see the changes of it."""

from __future__ import annotations

import os
import sys

from vmnet.errors import VmnetError
from vmnet.rights import may_change_links


def are_roots() -> bool:
    """Whether this process has the rights to change links."""
    return os.geteuid() == 0 or may_change_links()


def refuse_others() -> None:
    """Refuse whoever could not go on, before anything is looked at.

    Raises:
        VmnetError: ``not-root``.
    """
    if not are_roots():
        raise VmnetError(
            "not-root",
            "only root may change the host",
            remedy=f"Run it as root: sudo vmnet {' '.join(sys.argv[1:])}",
        )
