"""Listening sockets at the end of a process: whoever connects is refused, and whoever has connected is answered.

A process that closes its listening socket resets the connections that it has not accepted yet, although their clients know that they are
connected, and have sent their requests. So the socket is first bound to a network interface that does not exist. The kernel then finds no
listener for a new connection, and refuses it at once; it completes the handshakes under way, which it finds by their addresses; and what is
queued can still be accepted. All processes that share the socket share this too.

It needs no privilege on Linux 5.7 or later. (A socket filter that drops SYN needs CAP_NET_ADMIN on Linux 6.18, and lets clients wait for a
second.) Elsewhere, and on Unix sockets, nothing happens.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from typing import Any, Final

_SO_BINDTOIFINDEX: Final = 62  # asm-generic/socket.h; the socket module has no name for it
_NOWHERE: Final = 2**31 - 1  # the highest index; the kernel counts up from 1
_TCP_INFO: Final = struct.Struct("8B24I")  # linux/tcp.h
_UNACKED: Final = 12  # place of tcpi_unacked: of a listening socket the connections that are not accepted yet


def refuse_new(listener: Any) -> None:
    """Refuse new connections from now on, for ever. listener: a socket, or gunicorn's wrapper of one."""
    if _is_tcp(listener):
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX, _NOWHERE)


def refuses_new(listener: Any) -> bool:
    """Say whether `refuse_new` has had its effect, in whichever process."""
    with contextlib.suppress(OSError):
        return _is_tcp(listener) and listener.getsockopt(socket.SOL_SOCKET, _SO_BINDTOIFINDEX) == _NOWHERE
    return False


def queued(listener: Any) -> int:
    """Return how many connections are complete and not accepted yet; 0 where the kernel does not say."""
    if not _is_tcp(listener):
        return 0
    with contextlib.suppress(OSError, struct.error):
        waiting: int = _TCP_INFO.unpack(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))[_UNACKED]
        return waiting
    return 0


def _is_tcp(listener: Any) -> bool:
    return sys.platform == "linux" and listener.family in (socket.AF_INET, socket.AF_INET6)
