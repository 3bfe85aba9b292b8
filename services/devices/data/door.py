"""A short way in for `POST /data`: it answers what devices send all day; all else, and all that is refused, goes to the application.

What Flask does for a request costs more than to read a batch and to store it. The answer is the very same on both ways, and so are the
log line and the metrics; a test compares them. `services/devices/serving.py` goes the same way without a thread that waits for the store.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from flask import Flask

from services.common import request_id
from services.devices import access
from services.devices.access import GENERIC, TYPED, Caller, DeviceRef
from services.devices.data.ingest.batches import Batch, Told
from services.devices.data.rules.bodies import Body
from services.devices.data.rules.records import Records
from services.devices.registry.rules.ids import new_id
from services.devices.registry.rules.tokens import is_token
from services.devices.web import FAILED, HEADERS, LARGE_BODY
from services.devices.wiring import Parts

PATH: Final = "/data"
_TOKENS: Final = {f"HTTP_{name.upper().replace('-', '_')}": name for name in (*TYPED, *GENERIC)}
_UNUSUAL: Final = ("HTTP_IDEMPOTENCY_KEY", "HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_ENCODING", "HTTP_EXPECT", "HTTP_UPGRADE", "HTTP_TRAILER")
_ANSWER: Final = b'{"status":true,"result":"%d Data Added"}'

Environ = dict[str, Any]
WSGI = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Door:
    """WSGI middleware. failed: what kept out the records of requests that `begin` took, by socket; the application answers them."""

    def __init__(self, app: Flask) -> None:
        self._extensions = app.extensions
        self._application: WSGI = app.wsgi_app
        self.failed: dict[Any, Exception] = {}

    @property
    def _parts(self) -> Parts:
        found: Parts = self._extensions["devices"]
        return found

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if self.failed and (failed := self.failed.pop(environ.get("gunicorn.socket"), None)) is not None:
            environ[FAILED] = failed
        elif environ.get("PATH_INFO") == PATH and environ["REQUEST_METHOD"] == "POST" and (length := self.takes(environ)):
            began = time.perf_counter()
            content = environ["wsgi.input"].read(length)
            environ["wsgi.input"] = io.BytesIO(content)
            try:
                caller = self._parts.tokens.caller({_TOKENS[name]: environ[name] for name in _TOKENS if name in environ})
                read = self._read(caller, content)
            except Exception:  # whatever it is: the application finds it, too
                return self._application(environ, start)
            try:
                headers, body = self.answer(environ, self._parts.ingest.add(*read), began)
            except Exception as error:
                environ[FAILED] = error
            else:
                start("200 OK", headers)
                return [body]
        return self._application(environ, start)

    def takes(self, environ: Mapping[str, Any]) -> int:
        """Return the length of the body when nothing about a `POST /data` is unusual, else 0. environ: of WSGI."""
        shown = [name for name in _TOKENS if name in environ]
        if len(shown) != 1 or not is_token(environ[shown[0]]) or environ.get("QUERY_STRING") or any(name in environ for name in _UNUSUAL):
            return 0
        if self._parts.settings.rate_limits:  # which are counted by the application
            return 0
        said = environ.get("CONTENT_LENGTH") or ""
        if not said.isdecimal() or len(said) > 9 or environ.get("CONTENT_TYPE") != "application/json":
            return 0
        return int(said) if int(said) <= LARGE_BODY else 0

    def begin(self, environ: Mapping[str, Any], content: bytes, told: Told) -> Batch | None:
        """Begin to store what came in; None when the application must answer. Never waits.

        environ: as `takes` has accepted it. told: see `Ingest.begin`.
        """
        try:
            caller = self._parts.tokens.remembered(next(environ[name] for name in _TOKENS if name in environ))
            return None if caller is None else self._parts.ingest.begin(*self._read(caller, content), told)
        except Exception:  # whatever it is: the application finds it, too
            return None

    def give_up(self, batch: Batch) -> None:
        """Let a request wait no longer."""
        self._parts.ingest.give_up(batch)

    def answer(self, environ: Mapping[str, Any], count: int, began: float) -> tuple[list[tuple[str, str]], bytes]:
        """Note that so many records were added, and return the headers and the body of the answer. began: time.perf_counter()."""
        known = request_id.accept(environ.get("HTTP_X_REQUEST_ID"))
        request_id.enter(known)
        self._extensions["observed"]("POST", PATH, PATH, 200, time.perf_counter() - began)
        request_id.enter(None)
        body = _ANSWER % count
        return [("Content-Type", "application/json"), ("Content-Length", str(len(body))), (request_id.HEADER, known), *HEADERS], body

    def _read(self, caller: Caller, content: bytes) -> tuple[DeviceRef, Records]:
        """Read the records, and say whose they are. Raises whatever is wrong."""
        device = access.require(caller, "write", "device").device
        assert device is not None
        if not device.active:
            raise ValueError("the application says so")
        parts = self._parts
        parts.ingest.check_room(caller.account)
        return device, Body(content).read(parts.clock.now(), new_id())
