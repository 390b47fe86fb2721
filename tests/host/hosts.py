"""Hosts whose only NIC carries little, and as much as can be."""

from __future__ import annotations

from pathlib import Path

from tests.host.lan import ip, until_settled

PLAIN = """
addr add 10.1.0.2/24 dev up0
addr add fd00::2/64 dev up0 nodad
route add default via 10.1.0.1 metric 100
"""


def plain_host() -> None:
    """A host with an address of each family and a default route."""
    _given(PLAIN)


WORST = """
addr add 10.1.0.2/24 brd + dev up0 label up0:web
addr add 10.1.0.3/24 dev up0
addr add 10.1.0.4/24 dev up0 label up0:x
addr add 10.2.0.2/24 dev up0 metric 77
addr add 10.2.0.9/32 dev up0 noprefixroute
addr add 10.3.0.1 peer 10.3.0.2/32 dev up0
addr add 10.4.0.2/24 dev up0 valid_lft 9000 preferred_lft 4000
addr add 10.5.0.2/24 scope link dev up0
addr add fd00::2/64 dev up0
addr add fd00::3/64 dev up0 nodad
addr add fd01::2/64 dev up0 noprefixroute
addr add fd02::2/64 dev up0 metric 88
addr add fd03::2/64 dev up0 valid_lft 9000 preferred_lft 4000
addr add fd04::2/64 dev up0 preferred_lft 0
addr add fd05::2/64 dev up0 nodad home
addr add fd06::2 peer fd06::3/128 dev up0
route add default via 10.1.0.1 metric 100 mtu lock 1400 initcwnd 20 advmss 1360
route add default via 10.2.0.1 metric 200 src 10.1.0.3 proto dhcp
route add 172.16.0.0/16 via 10.1.0.9 onlink dev up0 realm 7
route add 172.17.0.0/16 via 10.1.0.1 tos 0x10
route add 172.17.0.0/16 via 10.2.0.1
route append 172.17.0.0/16 via 10.1.0.8
route add 172.18.0.0/16 nexthop via 10.1.0.1 weight 3 nexthop via 10.2.0.1 weight 1
route add 172.19.0.0/16 nexthop via 10.1.0.1 dev up0 nexthop via 10.9.0.1 dev other0
route add 172.20.0.1 dev up0 scope link
route add default via 10.1.0.1 table 100
route add 10.1.0.0/24 dev up0 src 10.1.0.2 table 100
route del 10.5.0.0/24 dev up0
route add multicast 224.0.0.0/4 dev up0
-6 route add default via fe80::1 dev up0 metric 300 proto static pref high
-6 route add default via fd00::1 proto ra expires 1800 metric 1024 pref low
-6 route add fd10::/64 via fd00::1 mtu lock 1300
-6 route add fd11::/64 nexthop via fd00::1 weight 2 nexthop via fe80::1 dev up0
-6 route add fd12::/64 nexthop via fd00::1 dev up0 nexthop via fd90::1 dev other0
-6 route add fd13::/64 dev up0 metric 5
-6 route add fd14::/64 via fd00::9 src fd00::3
-6 route add default via fd00::1 table 100
-6 route add fd00:1::/64 dev up0 proto kernel metric 256 expires 900
rule add from 10.1.0.3 iif up0 lookup 100 priority 1000
rule add oif up0 lookup 100 priority 1001
rule add not iif up0 to 10.7.0.0/16 lookup 100 priority 1002
-6 rule add iif up0 lookup 100 priority 1000
neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev up0 nud permanent
neigh add fd00::77 lladdr 02:00:00:00:00:77 dev up0 nud permanent router
neigh add proxy 10.1.0.200 dev up0
neigh add proxy fd00::200 dev up0
"""

SETTINGS = {
    "ipv4/conf/rp_filter": "1",
    "ipv4/conf/arp_ignore": "1",
    "ipv4/conf/arp_announce": "2",
    "ipv4/conf/proxy_arp": "1",
    "ipv6/conf/accept_ra": "2",
    "ipv6/conf/use_tempaddr": "0",
    "ipv6/conf/hop_limit": "63",
    "ipv6/conf/mtu": "1480",
    "ipv4/neigh/base_reachable_time_ms": "44000",
    "ipv6/neigh/gc_stale_time": "99",
}


BUSY = """
addr add 10.1.0.2/24 brd + dev up0 label up0:web
addr add 10.1.0.3/24 dev up0
addr add 10.2.0.2/24 dev up0 valid_lft 9000 preferred_lft 4000
addr add fd00::2/64 dev up0
addr add fd01::2/64 dev up0 nodad noprefixroute
route add default via 10.1.0.1 metric 100 mtu lock 1400
route add 172.19.0.0/16 nexthop via 10.1.0.1 dev up0 nexthop via 10.9.0.1 dev other0
route add default via 10.1.0.1 table 100
-6 route add default via fe80::1 dev up0 proto ra expires 1800
rule add iif up0 lookup 100 priority 1000
neigh add 10.1.0.77 lladdr 02:00:00:00:00:77 dev up0 nud permanent
"""


def busy_host() -> None:
    """A host with something of everything."""
    _other_nic()
    _given(BUSY)


def _other_nic() -> None:
    for command in (
        "link add other0 type veth peer name other1",
        "link set other0 up",
        "link set other1 up",
        "addr add 10.9.0.2/24 dev other0",
        "addr add fd90::2/64 dev other0 nodad",
    ):
        ip(command)


def _given(commands: str) -> None:
    for command in commands.strip().splitlines():
        ip(command)
    until_settled()


def worst_host() -> None:
    """A host whose only NIC carries all that this kernel knows."""
    _other_nic()
    for key, value in SETTINGS.items():
        room, _, name = key.rpartition("/")
        Path("/proc/sys/net", room, "up0", name).write_text(value)
    _given(WORST)
