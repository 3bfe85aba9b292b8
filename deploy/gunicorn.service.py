"""gunicorn for one domain service: `SERVICE=tokens gunicorn -c deploy/gunicorn.service.py services.tokens.wsgi:app`.

The service is named by `SERVICE` or, without it, by the application's argument. Address, processes and threads come from the service's own
settings: `<SERVICE>_BIND`, and `<SERVICE>_WORKERS` and `<SERVICE>_THREADS` where it declares them. One process by default, because counters
and wake-ups are then exact without Valkey; a service with long polls declares as many threads as it wants to let wait.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.http import message

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from services.common import logging as logs  # noqa: E402  the project's folder must be on the path first
from services.common import startup, stopping  # noqa: E402
from services.common.metrics import board  # noqa: E402
from services.common.settings import load_or_exit, stop  # noqa: E402


def _service() -> str:
    named = os.environ.get("SERVICE")
    found = [match[1] for argument in sys.argv[1:] if (match := re.fullmatch(r"services\.(\w+)\.wsgi(?::\w+)?", argument))]
    if not named and not found:
        stop("gunicorn", ["SERVICE is required: the name of the service, when no application services.<name>.wsgi:app is given"])
    return named or found[-1]


service = _service()
try:
    settings = load_or_exit(service, importlib.import_module(f"services.{service}.settings").load)
except ModuleNotFoundError as error:
    if error.name != f"services.{service}":
        startup.stop(service, startup.in_a_line(service, error))
    stop(service, [f"SERVICE names {service!r}, and there is no services/{service}"])


_SENT_BY_CLIENT = re.compile(r"""b?['\"].*""", re.DOTALL)


class StructuredLogger(Logger):  # type: ignore[misc]
    """gunicorn's own lines in the service's format, from the first one on. They show no query and no header of a client."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.configure(service, getattr(settings, "log_level", "INFO"))

    def warning(self, msg: str, *args: Any, **options: Any) -> None:
        """A request that cannot be read is quoted by gunicorn as it came, with the credentials in it."""
        if msg.startswith("Invalid request from"):
            msg = _SENT_BY_CLIENT.sub(logs.MASK, msg)
        super().warning(msg, *args, **options)

    def exception(self, msg: str, *args: Any, **options: Any) -> None:
        """`Error handling request GET /path?query` without its query; a package that a worker lacks without a trace."""
        error = sys.exc_info()[1]
        if msg == "Exception in worker process" and isinstance(error, ImportError):
            self.critical("cannot start: %s", startup.in_a_line(service, error))
            return
        super().exception(msg, *(one.partition("?")[0] if isinstance(one, str) else one for one in args), **options)


wsgi_app = f"services.{service}.wsgi:app"
bind = [str(settings.bind)]
worker_class = getattr(settings, "worker_class", "services.common.worker.Worker")
workers = getattr(settings, "workers", 1)
threads = getattr(settings, "threads", 16)
worker_connections = max(1000, threads * 2)  # more than threads, or nothing can be kept alive
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108  the heartbeat must not wait for a disk
control_socket_disable = True
timeout = 60
graceful_timeout = 20
MOST_LEFT = 32 * 1024  # bytes of a body that nobody has read, on a connection that stays
keepalive = 75  # above the idle time of the gateway's pool, so that the caller closes first and no request meets a closing connection
# A method besides the 16 KB of path and query that the gateway lets through; gunicorn caps the setting at half of it, so the cap goes up.
limit_request_line = message.MAX_REQUEST_LINE = 17 * 1024
accesslog = None  # the application logs its requests, with their ids
errorlog = "-"
logger_class = StructuredLogger

# No header of a peer becomes a variable of the environment: not the path (SCRIPT_NAME, PATH_INFO), not the user, not the scheme. gunicorn
# believes loopback unless it is told otherwise, and every peer of a Unix socket whatever it is told, so nothing is left to believe.
# A service that needs what a proxy says reads X-Forwarded-… itself, from the proxies that its settings name.
forwarded_allow_ips = ""
forwarder_headers = ""
secure_scheme_headers: dict[str, str] = {}
header_map = "drop"  # X_Forwarded_For would be X-Forwarded-For in the environment
proxy_protocol = "off"
permit_obsolete_folding = False
strip_header_spaces = False


def pre_request(worker: Any, request: Any) -> None:
    """Leave out `Proxy`, which a CGI program would take for the proxy of its environment (CVE-2016-5385)."""
    request.headers = [field for field in request.headers if field[0] != "PROXY"]
    request.should_close = functools.partial(_closes, request, request.should_close)


def _closes(request: Any, asked: Callable[[], bool]) -> bool:
    """Say whether the connection ends with this request, before its answer goes out.

    gunicorn reads what the application has left of a body, up to 64 KB, and closes the connection when there is more. It says so to
    nobody, and so the gateway would send somebody else's request into a closing connection.
    """
    reader = request.body.reader
    chunks = getattr(reader, "parser", None) is not None  # how many are left is not known
    return asked() or request.body.failed or chunks or getattr(reader, "length", 0) > MOST_LEFT


def on_starting(server: Any) -> None:
    stopping.lose_no_signal(server)
    stopping.lose_no_request(server)


def post_worker_init(worker: Any) -> None:
    board.share(getattr(worker.app.callable, "extensions", {}))
