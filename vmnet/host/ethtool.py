"""Large receive offload: the kernel switches it off on a bridge's port, and not on again (dev_disable_lro)."""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct

_SIOCETHTOOL, _GET_FLAGS, _SET_FLAGS, _LRO = 0x8946, 0x25, 0x26, 1 << 15  # ETHTOOL_GFLAGS, SFLAGS, ETH_FLAG_LRO


def joins_frames(link: str) -> bool:
    """Whether it is on; a link that does not know the question has none."""
    return bool((_asked(link, _GET_FLAGS, 0) or 0) & _LRO)


def join_frames(link: str) -> bool:
    """Switch it on; whether it is on then: a link that cannot, or whose driver does not want to, stays as it is."""
    flags = _asked(link, _GET_FLAGS, 0)
    if flags is not None:
        _asked(link, _SET_FLAGS, flags | _LRO)
    return joins_frames(link)


def _asked(link: str, command: int, flags: int) -> int | None:
    """What is in an ethtool_value afterwards; None where the link refuses."""
    value = array.array("I", [command, flags])
    request = struct.pack("16sP8x", os.fsencode(link), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asked:
        try:
            fcntl.ioctl(asked, _SIOCETHTOOL, request)
        except OSError:
            return None
    return value[1]
