"""MAC addresses are never one that somebody has."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmnet.errors import UsageError, VmnetError
from vmnet.nic.mac import choose


@given(st.sets(st.binary(min_size=3, max_size=3)))
def test_a_random_address_is_of_qemus_range_and_free(taken):
    taken = {"52:54:00:" + digits.hex(":").upper(): "somebody" for digits in taken}
    mac = choose(None, taken)
    assert re.fullmatch("52:54:00(:[0-9a-f]{2}){3}", mac)
    assert mac.upper() not in taken


def test_a_random_address_is_drawn_again_while_it_is_taken(monkeypatch):
    draws = iter([b"\0\0\1", b"\0\0\1", b"\0\0\2"])
    monkeypatch.setattr("os.urandom", lambda _: next(draws))
    assert choose(None, {"52:54:00:00:00:01": "guest1"}) == "52:54:00:00:00:02"


@given(st.text(min_size=1))
def test_a_seed_gives_the_same_address_each_time(text):
    assert choose(f"seed:{text}", {}) == choose(f"seed:{text}", {})


def test_seeds_give_the_addresses_they_gave_in_every_release():
    assert choose("seed:web/0", {}) == "52:54:00:6e:02:e5"
    assert choose("seed:web/1", {}) != choose("seed:web/0", {})


def test_an_address_given_is_put_in_lower_case():
    assert choose("02:AB:CD:EF:00:01", {}) == "02:ab:cd:ef:00:01"


@pytest.mark.parametrize("wish", ["52:54:00:AA:00:01", "seed:web/0"])
def test_an_address_in_use_is_refused_with_the_name_of_its_holder(wish):
    taken = {choose(wish, {}).upper(): "NIC 1 of domain web"}
    with pytest.raises(VmnetError) as caught:
        choose(wish, taken)
    assert caught.value.code == "mac-in-use"
    assert "NIC 1 of domain web" in caught.value.why


@pytest.mark.parametrize("wish", ["01:00:5e:00:00:01", "00:00:00:00:00:00", "random", "", "Seed:x"])
def test_what_is_no_unicast_address_is_refused(wish):
    with pytest.raises(UsageError) as caught:
        choose(wish, {})
    assert caught.value.code == "bad-value"
