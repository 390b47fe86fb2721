"""What a link was before it became a bridge's port, as far as the journal remembers: it is to be so again."""

from __future__ import annotations

from vmnet.change import journal
from vmnet.change.journal import Record, State
from vmnet.errors import VmnetError
from vmnet.host.managers import Owner


def left_alone(uplink: str) -> tuple[Owner, ...]:
    """Who looked after an uplink and was told to leave it alone; a DHCP client is none, for it went along."""
    from vmnet.host.image import HostImage

    for record in journal.records():  # the newest first
        match record:
            case Record(entry=entry) if not entry.void and uplink in entry.names:
                try:
                    if record.standing().state is State.CONFIRMED:
                        image = HostImage.of_document(entry.images["host"])
                        return tuple(o for o in image.owners if o.link == uplink and not o.client)
                except (VmnetError, KeyError, TypeError, ValueError):
                    continue
    return ()
