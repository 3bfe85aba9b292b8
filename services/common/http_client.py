"""HTTP from one service to another: time-outs always, few retries and only of idempotent calls, the request id and the trace passed on."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from services.common import request_id, trace_context

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 5.0
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class Client(requests.Session):
    """A session that never waits for ever, and takes nothing from the environment (no proxies, no .netrc)."""

    def __init__(self, *, connect: float = CONNECT_TIMEOUT_S, read: float = READ_TIMEOUT_S, retries: int = 2, pool: int = 20) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = 0
        self._timeout = (connect, read)
        policy = Retry(
            total=retries, connect=retries, read=retries, status=0, redirect=0, other=0, backoff_factor=0.05, allowed_methods=_IDEMPOTENT
        )
        adapter = HTTPAdapter(max_retries=policy, pool_connections=4, pool_maxsize=pool)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """Send a request, as `requests` does; without `timeout` the session's own applies. Raises requests.RequestException."""
        options.setdefault("timeout", self._timeout)
        options.setdefault("allow_redirects", False)
        passed_on = dict(trace_context.current())
        current = request_id.current()
        if current:
            passed_on["X-Request-Id"] = current
        if passed_on:
            options["headers"] = passed_on | (options.get("headers") or {})
        return super().request(method, url, *args, **options)
