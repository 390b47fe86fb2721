"""Hostile files: refused or escaped, quickly, and nothing in them is done."""

import os
import subprocess
import sys
import time

import pytest

MIB = 1 << 20
LAUGHS = "<!DOCTYPE i [<!ENTITY a0 'ha'>{}]>".format(
    "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
)

HOSTILE = {
    "doctype": "<!DOCTYPE interface SYSTEM 'http://127.0.0.1:9/x.dtd'><interface/>",
    "local file": "<!DOCTYPE i [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><interface type='&x;'/>",
    "billion laughs": LAUGHS + "<interface type='&a11;'/>",
    "deep": "<interface>" + "<a>" * 5000 + "</a>" * 5000 + "</interface>",
    "50 MB": "<interface>" + " " * (50 * MIB) + "</interface>",
    "no end": "<interface type='direct'",
    "binary": "\x00\x01\x02",
    "empty": "",
    "many NICs": "<domain><devices>" + "<interface/>" * 10000 + "</devices></domain>",
    "many elements": "<interface type='bridge'><source bridge='b'/>" + "<foo/>" * 100_000 + "</interface>",
    "many attributes": "<interface " + " ".join(f"a{n}='1'" for n in range(20_000)) + "/>",
    "many tags": "<interface type='bridge'><vlan>" + "<tag id='5'/>" * 50_000 + "</vlan></interface>",
    "escapes": "<interface type='&#x9b;31m'><source dev='&#x202e;'/><target dev='&#x9b;2J'/><x&#x9b;/></interface>",
    "escapes that parse": "<interface type='direct'><source dev='a&#x202e;&#x9b;2J' mode='b&#x9b;'/></interface>",
}


@pytest.fixture(params=HOSTILE)
def file(request, tmp_path):
    path = tmp_path / "hostile.xml"
    path.write_text(HOSTILE[request.param])
    return path


def vmnet(*arguments, **options):
    start = time.monotonic()
    command = [sys.executable, "-m", "vmnet", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)
    assert time.monotonic() - start < 10
    return done


def is_clean(done):
    assert "Traceback" not in done.stderr
    assert all(c.isprintable() or c == "\n" for c in done.stdout + done.stderr)
    return True


def test_a_hostile_file_is_refused_by_check(file):
    done = vmnet("check", file)
    assert done.returncode == 1
    assert is_clean(done)


def test_a_hostile_file_is_refused_on_stdin_and_in_json(file):
    with file.open() as stdin:
        done = vmnet("check", "-", "--json", stdin=stdin)
    assert done.returncode == 1
    assert done.stdout.startswith("{") and is_clean(done)


def test_a_hostile_file_is_no_template(file):
    done = vmnet("xml", "--template", file, "--direct", "eth0")
    assert done.returncode == 1
    assert is_clean(done)


DOCTYPES = {
    "external subset": "<!DOCTYPE i SYSTEM '{}'><interface/>",
    "file address": "<!DOCTYPE i SYSTEM 'file://{}'><interface/>",
    "public": "<!DOCTYPE i PUBLIC '-//x//y' '{}'><interface/>",
    "parameter entity": "<!DOCTYPE i [<!ENTITY % x SYSTEM '{}'> %x;]><interface/>",
    "entity": "<!DOCTYPE i [<!ENTITY x SYSTEM '{}'>]><interface type='&x;'>&x;</interface>",
    "after a comment and a PI": "<!-- <interface> --><?pi <interface> ?>\n<!DOCTYPE i SYSTEM '{}'><interface/>",
    "bomb": LAUGHS + "<interface type='&a11;'>&a11;</interface>",
    "parameter bomb": "<!DOCTYPE i [<!ENTITY % a '&#37;b;&#37;b;'><!ENTITY % b '{}'> %a; %a;]><interface/>",
    "nothing in it": "<!DOCTYPE interface><interface/>",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-be", "utf-7"])
def test_a_doctype_is_refused_before_anything_that_it_names_is_opened(encoding, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    declared = f"<?xml version='1.0' encoding='{encoding.removesuffix('-sig').removesuffix('-be')}'?>"
    documents = [(declared + text.replace("{}", str(fifo))).encode(encoding) for text in DOCTYPES.values()]
    done = subprocess.run(  # whoever opens the FIFO waits for ever
        [sys.executable, "-c", PARSE], input=repr(documents), capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.split("\n") == ["it has a DOCTYPE, which libvirt's XML never needs"] * len(DOCTYPES) + [""]


PARSE = """\
import ast, sys
from vmnet.errors import VmnetError
from vmnet.nic import xml
for document in ast.literal_eval(sys.stdin.read()):
    try:
        xml.parse(document)
    except VmnetError as error:
        print(error.why)
"""


@pytest.mark.parametrize("name", ["/nonesuch", "/", "/dev/zero", "a\x1b[31m", ""])
def test_what_is_no_file_is_told(name):
    done = vmnet("check", name)
    assert done.returncode == 1
    assert "error: " in done.stderr and is_clean(done)
