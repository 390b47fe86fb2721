"""One NIC of a domain's document changes, and nothing around it does, whatever the XML and however alike its NICs."""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lxml import etree

from tests.unit.nic.test_generator import facts, interfaces, unknown
from vmnet.guest.model import Document
from vmnet.nic import xml
from vmnet.nic.generator import rewrite
from vmnet.nic.model import Nic

MACS = ("52:54:00:00:00:01", "52:54:00:00:00:02")
few = settings(max_examples=40, phases=[Phase.explicit, Phase.generate])  # to shrink a document takes minutes
ADDRESSES = (None, None, "0000:01:00.0", "0000:02:00.0")


@st.composite
def nics(draw):
    """A NIC that is easily a twin: one of two MAC addresses, and often no PCI address."""
    nic = rewrite(draw(interfaces()), {"mac": draw(st.sampled_from(MACS))})
    return rewrite(nic, {"address": None} | ({"address": a} if (a := draw(st.sampled_from(ADDRESSES))) else {}))


@st.composite
def documents(draw):
    """A domain with NICs among comments, instructions and elements that no libvirt has heard of."""
    root = etree.Element("domain")
    root.extend(draw(st.lists(unknown(depth=1), max_size=1)))
    devices = etree.SubElement(root, "devices")
    devices.text = draw(st.sampled_from([None, "\n  ", "text"]))
    inside = [
        *(nic.element for nic in draw(st.lists(nics(), min_size=1, max_size=4))),
        *draw(st.lists(unknown(depth=0), max_size=2)),
    ]
    for child in draw(st.permutations(inside)):
        devices.append(child)
        child.tail = draw(st.sampled_from([None, "\n  ", "text"]))
    root.extend(draw(st.lists(unknown(depth=1), max_size=1)))
    return Document.parse(etree.tostring(root))


def around(document: Document) -> list[tuple[str, str]]:
    """All that the document says but for its NICs; texts are run together, and space is no text."""
    bare = Document.parse(etree.tostring(document.root))
    for nic in bare.root.findall("devices/interface"):
        xml.remove(nic)
    said = [(path, text) for path, text in facts(bare.root) if not path.endswith("/text")]
    return [*said, ("", "".join("".join(bare.root.itertext()).split()))]


def first(document: Document, nic: Nic) -> int:
    """The number of a NIC; of wholly equal ones that of the first, which nobody can tell from the others."""
    return document.nics.index(nic)


@few
@given(documents(), st.data())
def test_a_nic_that_changes_is_the_one_that_is_meant_and_keeps_its_place(document, data):
    before = data.draw(st.sampled_from(document.nics))
    wish = data.draw(st.sampled_from([{"mtu": 1400}, {"link": "down"}, {"mac": "52:54:00:00:00:03"}]))
    changed = rewrite(before, wish)
    wanted = list(document.nics)
    wanted[first(document, before)] = changed
    after = document.with_nic(changed, before)
    assert list(after.nics) == wanted
    assert around(after) == around(document)


@few
@given(documents(), st.data())
def test_a_nic_that_goes_is_the_one_that_is_meant(document, data):
    going = data.draw(st.sampled_from(document.nics))
    wanted = list(document.nics)
    del wanted[first(document, going)]
    after = document.without_nic(going)
    assert list(after.nics) == wanted
    assert around(after) == around(document)


@few
@given(documents(), nics(), st.data())
def test_a_nic_that_comes_is_where_it_is_to_be(document, nic, data):
    coming = rewrite(nic, {"mac": "52:54:00:00:00:03"})
    place = data.draw(st.sampled_from([None, *range(len(document.nics))]))
    wanted = list(document.nics)
    wanted.insert(len(wanted) if place is None else place, coming)
    after = document.with_nic(coming, place=place)
    assert list(after.nics) == wanted
    assert around(after) == around(document)


@few
@given(documents(), nics())
def test_a_document_without_a_nic_is_left_as_it_is(document, nic):
    stranger = rewrite(nic, {"mac": "52:54:00:00:00:03"})
    assert document.find(stranger) is None
    assert around(document.without_nic(stranger)) == around(document)
    assert document.without_nic(stranger).nics == document.nics


@few
@given(documents(), st.data())
def test_a_nic_is_found_among_its_twins(document, data):
    nic = data.draw(st.sampled_from(document.nics))
    assert document.find(nic) == nic
