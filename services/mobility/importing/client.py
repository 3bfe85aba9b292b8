"""A client of the write API, as importers use it: a session that renews itself, calls that are repeated, bulks of nodes."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import requests

from services.common import http_client

_READ_S: Final = 120.0  # for an answer; the gateway gives up sooner
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0)  # seconds before each repetition of a call
_LONGEST_PAUSE_S: Final = 60.0
_LONGEST_BUSY_S: Final = 600.0  # a session that nobody uses ends after one minute
_REPEATED: Final = (429, 500, 502, 503, 504)


class Refused(ValueError):
    """The service says no. index: of the node in the request that is wrong, None when it does not say."""

    def __init__(self, status: int, message: str, index: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.index = index


class Unreachable(Exception):
    """The service gives no usable answer."""


class Client:
    """Writes nodes. tell: takes a line for people about each wait. Raises Refused and Unreachable."""

    def __init__(
        self,
        url: str,
        email: str,
        password: str,
        *,
        tell: Callable[[str], None] = lambda line: None,
        ca_file: Path | None = None,
    ) -> None:
        """url: of the service, such as `http://127.0.0.1:8080/mobility`. ca_file: certificates (PEM) that vouch for its own."""
        self.url = url.rstrip("/")
        self._credentials = {"e": email, "p": password}
        self._tell = tell
        self._http = http_client.Client(read=_READ_S, retries=0)
        if ca_file is not None:
            self._http.verify = str(ca_file)
        self._key: str | None = None

    def log_in(self) -> None:
        """Ask for a session key; while the owner has a session elsewhere, wait for its end."""
        waited = 0.0
        while True:
            answer, body = self._repeated("POST", "/get_session", encode(self._credentials), {})
            if answer.status_code != 409 or waited >= _LONGEST_BUSY_S:
                break
            pause = min(max(_retry_after(answer) or 1.0, 1.0), _LONGEST_PAUSE_S)
            self._tell(f"the owner has another session; it ends in {pause:.0f} s unless it is used, and then this goes on")
            time.sleep(pause)
            waited += pause
        if answer.status_code == 401:
            raise Refused(401, "Not Authorized: the e-mail or the password is wrong")
        self._key = str(_result(answer, body)["results"][0])

    def log_out(self) -> None:
        """End the session, so that the owner can start another at once."""
        if self._key is not None:
            headers, self._key = {"X-Auth": self._key}, None
            try:
                self._http.request("GET", f"{self.url}/release_session", headers=headers, timeout=(2, 5))
            except requests.RequestException:
                pass  # it ends by itself

    def layer(self, name: str) -> dict[str, Any] | None:
        """Read a layer; None when it does not exist."""
        answer, body = self._repeated("GET", f"/layer/{quote(name, safe='')}", None, {})
        if answer.status_code in (404, 422):
            return None
        found: list[dict[str, Any]] = _result(answer, body)["results"]
        return found[0]

    def create_layer(self, fields: Mapping[str, Any]) -> None:
        """Create a layer. fields: name, description, organization, category."""
        self._write("/layers", encode({"data": fields}))

    def note_status(self, layer: str, text: str) -> None:
        """Leave a text at the layer that says what was imported."""
        self._write(f"/layer/{quote(layer, safe='')}/status", encode({"data": text}))

    def data(self, cdk_id: str, layer: str) -> dict[str, Any]:
        """Read what a layer says of a node; nothing when it says nothing."""
        answer, body = self._repeated("GET", f"/{quote(cdk_id, safe='')}?layer={quote(layer, safe='')}", None, {})
        if answer.status_code == 404:
            return {}
        found: dict[str, Any] = _result(answer, body)["results"][0].get("layers", {}).get(layer, {}).get("data", {})
        return found

    def delete_node(self, cdk_id: str, layer: str) -> bool:
        """Delete a layer's data of a node, and the node; return False when the node is kept, as others use it."""
        path = f"/{quote(cdk_id, safe='')}/{quote(layer, safe='')}?delete_node=true"
        return self._write(path, None, "DELETE").get("node") == "deleted"

    def write(self, layer: str, nodes: Sequence[Mapping[str, Any]], **params: Any) -> dict[str, Any]:
        """Write nodes in one transaction. params: of `create`. Returns the results."""
        return self.write_encoded(layer, [encode(node) for node in nodes], params)

    def write_encoded(self, layer: str, nodes: Sequence[bytes], params: Mapping[str, Any], dry_run: bool = False) -> dict[str, Any]:
        """Write nodes in one transaction, or only check them. nodes: each as JSON. Returns the results."""
        body = b'{"create":' + encode({"params": params}) + b',"nodes":[' + b",".join(nodes) + b"]}"
        found = self._write(f"/nodes/{quote(layer, safe='')}" + ("?dry_run=true" if dry_run else ""), body)["create"]["results"]
        if not isinstance(found, dict):
            raise Unreachable(f"{self.url} answered a write without results; is it the mobility service?")
        return found

    def _write(self, path: str, content: bytes | None, method: str = "PUT") -> dict[str, Any]:
        """Make a call with the session key; with a new one, once, when it has ended."""
        if self._key is None:
            self.log_in()
        answer, body = self._repeated(method, path, content, {"X-Auth": self._key or ""})
        if answer.status_code == 401:
            self.log_in()
            answer, body = self._repeated(method, path, content, {"X-Auth": self._key or ""})
        return _result(answer, body)

    def _repeated(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> tuple[requests.Response, Any]:
        """Make a call until it is answered by the service itself. All calls here may be repeated: ids make a write idempotent."""
        for pause in (*PAUSES, None):
            try:
                answer = self._http.request(
                    method,
                    self.url + path,
                    data=content,
                    headers={**headers, "Content-Type": "application/json", "Accept": "application/json"},
                )
            except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema):
                raise Unreachable(f"`{self.url}` is not an address; write one like http://127.0.0.1:8080/mobility") from None
            except requests.exceptions.InvalidHeader:
                raise Unreachable("the session key holds a character that a header cannot carry") from None
            except requests.RequestException as error:
                reason, asked = f"{self.url} cannot be reached ({_cause(error)})", None
            else:
                if answer.status_code not in _REPEATED:
                    return answer, _body(answer)
                reason, asked = f"{self.url} answered {answer.status_code}: {_message(answer)}", _retry_after(answer)
            if pause is None:
                break
            pause = min(max(pause, asked or 0.0), _LONGEST_PAUSE_S)
            self._tell(f"{reason}; the call is repeated in {pause:.0f} s")
            time.sleep(pause)
        raise Unreachable(f"{reason}; {len(PAUSES) + 1} calls failed")


def encode(value: Any) -> bytes:
    """Write JSON. Raises ValueError for a number that is not finite."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character: the service says what it thinks of that
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _cause(error: BaseException) -> str:
    """Say what the network said. Raises Unreachable for a certificate that does not count: it will not next time, either."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise Unreachable(
                f"its certificate is not accepted ({cause.verify_message}); name those that vouch for it with --ca-file"
            ) from None
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _retry_after(answer: requests.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() and len(text) < 6 else None


def _body(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _message(answer: requests.Response) -> str:
    body = _body(answer)
    message = body.get("message") if isinstance(body, dict) else None
    if isinstance(message, dict):  # a layer's wrong fields
        return "; ".join(f"{field}: {', '.join(map(str, told)) if isinstance(told, list) else told}" for field, told in message.items())
    return str(message or answer.reason)


def _result(answer: requests.Response, body: Any) -> dict[str, Any]:
    """Return the body of a success. Raises Refused, or Unreachable for an answer that is not the service's."""
    if not isinstance(body, dict) or "status" not in body:
        raise Unreachable(f"{answer.url.partition('?')[0]} answered {answer.status_code}, but not as the mobility service; is --url right?")
    if answer.status_code != 200 or body["status"] != "success":
        index = body.get("index")
        raise Refused(answer.status_code, _message(answer), index if isinstance(index, int) and not isinstance(index, bool) else None)
    return body
