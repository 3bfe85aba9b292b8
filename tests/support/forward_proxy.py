"""A forward proxy on loopback that connects to one place, whatever host it is asked for."""

from __future__ import annotations

import contextlib
import socket
import threading

_PIECE = 64 * 1024


class ForwardProxy:
    """heads: what it was asked, in order. refuses: whether it answers 403 to everything."""

    def __init__(self, port: int) -> None:
        """port: that of the upstream, on loopback."""
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heads: list[str] = []
        self.refuses = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def lines(self) -> list[str]:
        """Return the request lines."""
        return [head.partition("\r\n")[0] for head in self.heads]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            data = b""
            while b"\r\n\r\n" not in data:
                piece = client.recv(_PIECE)
                if not piece:
                    return
                data += piece
            head = data.partition(b"\r\n\r\n")[0].decode("latin-1")
            self.heads.append(head)
            if self.refuses:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self._upstream)) as upstream:
                if head.startswith("CONNECT "):
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    upstream.sendall(data)
                back = threading.Thread(target=_move, args=(upstream, client), daemon=True)
                back.start()
                _move(client, upstream)
                back.join()


def _move(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
