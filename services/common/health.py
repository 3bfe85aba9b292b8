"""The health check of a container: ask the own process whether it answers.

`python -IS services/common/health.py` asks `GET /health` at the address of `<SERVICE>_BIND` (the gateway: `GATEWAY_OPERATOR_BIND`);
`SERVICE` is the name of the service. Exit status: 0 for 200, else 1, with the reason on the standard error output. It imports next to
nothing, because it starts every few seconds.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping

_TIMEOUT = 3.0  # seconds, for connecting and for each piece of the answer
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1", "::": "::1", "": "127.0.0.1"}  # noqa: S104  what a server listens on, and where that is


def address(environ: Mapping[str, str]) -> tuple[str, int]:
    """Return where the process listens. Raises KeyError (a variable is missing), ValueError (it holds no port)."""
    service = environ["SERVICE"].upper()
    bind = environ["GATEWAY_OPERATOR_BIND"] if service == "GATEWAY" else environ[f"{service}_BIND"]
    host, _, port = bind.rpartition(":")
    return _ANYWHERE.get(host, host.strip("[]")), int(port)


def answer(host: str, port: int) -> bytes:
    """Return the first line of the answer to `GET /health`. Raises OSError."""
    with socket.create_connection((host, port), _TIMEOUT) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(1024).partition(b"\r\n")[0]


def main() -> int:
    """Return the exit status."""
    try:
        line = answer(*address(os.environ))
    except KeyError as error:
        sys.stderr.write(f"{error.args[0]} is not set\n")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"no answer: {error}\n")
    else:
        if line.split(b" ")[1:2] == [b"200"]:
            return 0
        sys.stderr.write(f"answered {line.decode('latin-1')!r}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
