"""What the host was before a change: what it takes to put it back, able to go to disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vmnet.host.carried import Carried, link_document, link_of_document
from vmnet.host.carry import Difference
from vmnet.host.findings import listed
from vmnet.host.managers import Owner
from vmnet.host.model import MOVED, Host, Link
from vmnet.values import dataclass


@dataclass(frozen=True, slots=True)
class HostImage:
    """What the host was before a change, as far as the change may touch it.

    Args:
        mark: The alias of what this change makes.
        index: The index of what it makes, by which that is known whatever somebody calls it.
        touched: Names of the links that its steps may make or change.
        links: Those of them that were there.
        lent: MACs that its guests give to links that they take whole.
        carried: What those links carried that the change moves something from or to.
        owners: Who looked after links, and is told to leave them alone.
        heirs: Who is to look after links once it is done, and did not before.
    """

    mark: str
    index: int
    touched: tuple[str, ...]
    links: tuple[Link, ...]
    lent: tuple[str, ...] = ()
    carried: tuple[Carried, ...] = ()
    owners: tuple[Owner, ...] = ()
    heirs: tuple[Owner, ...] = ()

    @property
    def absent(self) -> tuple[str, ...]:
        """Names of the links that were not there."""
        there = {link.name for link in self.links}
        return tuple(name for name in self.touched if name not in there)

    def made(self, link: Link) -> bool:
        """Whether the change made this link."""
        is_marked = link.name in self.absent and (link.alias or "").removesuffix(MOVED) == self.mark
        return link.index == self.index or is_marked

    def document(self) -> dict[str, Any]:
        """The image as a JSON-able mapping; `of_document` reads it."""
        return {
            "mark": self.mark,
            "index": self.index,
            "touched": list(self.touched),
            "links": [link_document(link) for link in self.links],
            "lent": list(self.lent),
            "carried": [c.document() for c in self.carried],
            "owners": [owner.document() for owner in self.owners],
            "heirs": [owner.document() for owner in self.heirs],
        }

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> HostImage:
        """What `document` said. Raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        return cls(
            mark=str(document["mark"]),
            index=int(document["index"]),
            touched=tuple(map(str, document["touched"])),
            links=tuple(map(link_of_document, document["links"])),
            lent=tuple(map(str, document["lent"])),
            carried=tuple(map(Carried.of_document, document["carried"])),
            owners=tuple(map(Owner.of_document, document["owners"])),
            heirs=tuple(map(Owner.of_document, document["heirs"])),
        )


def differing(image: HostImage, host: Host, carried: Mapping[str, Carried]) -> Iterator[str]:
    """What is not as it was, a sentence each: links, what they are ports of, addresses and routes.

    Args:
        image: What was.
        host: The observation.
        carried: What the links of the image carry now.
    """
    for name in image.absent:
        if host.link(name):
            yield f"{name} is new"
    for before in image.links:
        link = host.by_index(before.index) or host.link(before.name)
        if link is None:
            yield f"{before.name} is gone"
            continue
        if link.master != before.master:
            of = host.by_index(link.master)
            yield f"{link.name} is {f'a port of {of.name}' if of else 'no port any more'}"
        if link.up != before.up:
            yield f"{link.name} is {'up' if link.up else 'down'}"
    for was in image.carried:
        if is_now := carried.get(was.link.name):
            difference = Difference(is_now, was)
            if lacking := difference.expected():
                yield f"{was.link.name} lacks {listed(e.text() for e in lacking)}"
            if more := difference.surplus:
                yield f"{was.link.name} has {listed(e.text() for e in more)} besides"
            if difference.resolver is not None:
                yield f"{was.link.name} has other name servers"
