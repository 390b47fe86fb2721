"""Several failures told as one."""

from vmnet.errors import UsageError, VmnetError, as_one


def test_one_failure_is_told_as_it_is():
    only = UsageError("bad-value", "it is wrong", why="so", remedy="Do better")
    assert as_one([only], "1 thing failed") is only


def test_several_keep_each_reason_and_say_a_remedy_once():
    web = VmnetError("nic-unknown", "web has no NIC 7", why="It has 1", remedy="vmnet list shows them")
    db = VmnetError("domain-gone", "db is gone", remedy="Try again")
    log = VmnetError("nic-unknown", "log has no NIC 7", remedy="vmnet list shows them")
    one = as_one([web, db, log], "3 domains cannot be taken so")
    assert one.document() == {
        "code": "nic-unknown",
        "what": "3 domains cannot be taken so",
        "why": "web has no NIC 7 (It has 1); db is gone; log has no NIC 7",
        "remedy": "vmnet list shows them. Try again",
    }
