"""What a link was before it became a bridge's port, as far as the journal remembers: it is to be so again."""

from __future__ import annotations

from vmnet.change import journal
from vmnet.change.journal import Record, State
from vmnet.errors import VmnetError
from vmnet.host.image import HostImage
from vmnet.host.planner import Before


def before(uplink: str) -> Before:
    """What the latest change that stands put an end to on an uplink, by its name.

    A DHCP client is no part of it, for it went along to the bridge.
    """
    for record in journal.records():  # the newest first
        match record:
            case Record(entry=entry) if not entry.void and uplink in entry.names:
                try:
                    if record.standing().state is State.CONFIRMED:
                        image = HostImage.of_document(entry.images["host"])
                        return Before(
                            tuple(o for o in image.owners if o.link == uplink and not o.client),
                            any(c.lro for c in image.carried if c.link.name == uplink),
                        )
                except (VmnetError, KeyError, TypeError, ValueError):
                    continue
    return Before()
