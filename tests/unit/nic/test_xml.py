"""XML is untrusted: it parses strictly or not at all, and a patch touches nothing but its value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmnet.errors import VmnetError
from vmnet.nic import xml

FRAGMENTS = ["<interface", " type='direct'", ">", "/>", "</interface>", "<!--", "-->", "<!DOCTYPE x [", "]>"]
FRAGMENTS += [
    "<!ENTITY a 'b'>",
    "&a;",
    "&#0;",
    "<?xml version='1.0' encoding='utf-16'?>",
    "<?pi ?>",
    "<![CDATA[",
    "]]>",
]
FRAGMENTS += ["\ud800", "\x00", "\x1b[31m", " xmlns:a='b'", "<a:b/>", "\ufffe", "é", "text"]


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join)))
def test_any_text_either_parses_or_is_an_error_of_ours(text):
    try:
        xml.parse(text)
    except VmnetError as error:
        assert error.code == "xml-invalid"
        assert error.why.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE interface><interface/>",
        "<!DOCTYPE i [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><interface>&x;</interface>",
        "<!DOCTYPE i [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><interface type='&b;'/>",
        "<interface>&nbsp;</interface>",
        "<interface/><interface/>",
        "",
    ],
)
def test_doctypes_entities_and_broken_documents_are_refused(text):
    with pytest.raises(VmnetError) as caught:
        xml.parse(text)
    assert caught.value.code == "xml-invalid"


def test_a_document_above_the_limit_is_refused_unread():
    xml.parse("<a/>", limit=4)
    with pytest.raises(VmnetError, match="cannot be read") as caught:
        xml.parse("<a />", limit=4)
    assert "longer than 4 bytes" in caught.value.why


def test_a_str_is_taken_as_it_is_whatever_encoding_it_declares():
    assert xml.parse("<?xml version='1.0' encoding='latin-1'?><a b='é'/>").get("b") == "é"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("@type", "<interface/>", '<interface type="7"/>'),
        ("mtu/@size", "<interface/>", '<interface><mtu size="7"/></interface>'),
        ("mtu/@size", '<interface><mtu size="1" x="y"/></interface>', '<interface><mtu size="7" x="y"/></interface>'),
        ("tune/sndbuf", "<interface/>", "<interface><tune><sndbuf>7</sndbuf></tune></interface>"),
        (
            "coalesce/rx/frames/@max",
            "<interface><coalesce/></interface>",
            '<interface><coalesce><rx><frames max="7"/></rx></coalesce></interface>',
        ),
    ],
)
def test_put_makes_what_is_missing_and_get_reads_it(path, before, after):
    element = xml.parse(before)
    xml.put(element, path, "7")
    assert xml.canonical(element) == xml.canonical(xml.parse(after))
    assert xml.get(element, path) == "7"


def test_new_elements_go_where_libvirt_would_print_them():
    element = xml.parse("<interface><!-- mine --><source/><model type='virtio'/><x/><address/></interface>")
    for path in ("boot/@order", "mac/@address", "driver/@queues", "target/@dev"):
        xml.put(element, path, "1")
    tags = [child.tag for child in element if isinstance(child.tag, str)]
    assert tags == ["mac", "source", "target", "model", "driver", "boot", "x", "address"]


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("mtu/@size", "<i><mtu size='7'/></i>", "<i/>"),
        ("mtu/@size", "<i><mtu/></i>", "<i><mtu/></i>"),
        ("mtu/@size", "<i><mtu size='7' x='y'/></i>", "<i><mtu x='y'/></i>"),
        ("mtu/@size", "<i><mtu size='7'><!-- why --></mtu></i>", "<i><mtu><!-- why --></mtu></i>"),
        ("tune/sndbuf", "<i><tune><sndbuf>7</sndbuf></tune>tail</i>", "<i>tail</i>"),
        ("tune/sndbuf", "<i><a/>head<tune><sndbuf>7</sndbuf></tune>tail</i>", "<i><a/>headtail</i>"),
        ("a/b/@c", "<i><a><b c='1'/><d/></a></i>", "<i><a><d/></a></i>"),
        ("mtu/@size", "<i xmlns:n='u'><n:mtu size='7'/></i>", "<i xmlns:n='u'><n:mtu size='7'/></i>"),
    ],
)
def test_drop_removes_a_value_and_only_what_it_emptied(path, before, after):
    element = xml.parse(before)
    xml.drop(element, path)
    assert xml.canonical(element) == xml.canonical(xml.parse(after))


def test_indentation_attribute_order_and_namespace_declarations_do_not_make_xml_unequal():
    one = xml.parse("<i a='1' b='2'><x/><n:y xmlns:n='rel'/></i>")
    two = xml.parse("<i xmlns:unused='urn:u' b='2' a='1'>\n   <x></x>\n<n:y xmlns:n='rel'/>\n</i>")
    assert xml.canonical(one) == xml.canonical(two)
    assert xml.canonical(one) != xml.canonical(xml.parse("<i a='1' b='2'><n:y xmlns:n='rel'/><x/></i>"))


def test_text_from_outside_is_shown_without_its_control_characters():
    assert xml.quoted("a\x1b[31m\u202eb") == r"'a\x1b[31m\u202eb'"
    assert xml.escaped("a\nb\x9b") == r"a\nb\x9b"
    assert len(xml.quoted("x" * 1000)) < 80
