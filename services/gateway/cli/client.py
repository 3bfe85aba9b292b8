"""How the command line calls the operator API and shows what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn
from urllib.parse import quote

import click
import requests

from services.common import http_client
from services.common.command_line import fail, wants_json
from services.gateway.refusals import counted

_TIMEOUT: Final = 30.0
_PAGE: Final = 1000
REFUSED: Final = 1
WRONG_USAGE: Final = 2
UNREACHABLE: Final = 3
_OF_TYK: Final = {"code": "Code", "message": "Message", "errors": "Errors", "request_id": "RequestId"}
# What to do, by the code of a refusal.
_HINTS: Final = {
    "operator-key-wrong": "the key is not that of this gateway; --key-file or GATEHOUSE_KEY give another",
    "api-unknown": "`definitions list` shows those that exist",
    "revision-unknown": "`definitions history` shows those that exist",
    "key-not-found": "`keys list` shows those that exist",
    "policy-unknown": "`policies list` shows those that exist",
    "policy-in-use": "`keys list --policy` shows them; --force deletes the policy all the same, and switches them off",
    "organisation-unknown": "`organisations list` shows those that have a session",
    "delivery-unknown": "`deliveries list` shows those that exist",
    "operator-unknown": "`operators list` shows those that exist",
}


@dataclass(frozen=True)
class Client:
    """Calls the operator API. key: reads the operator key; may raise Failure. author: who writes, for the history; "" = not said."""

    url: str
    key: Callable[[], str]
    author: str = ""

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, refusal: bool = True) -> Any:
        """Call the API and return the decoded answer. refusal: whether a 404 is a Failure, as all other errors are; False = it is None."""
        key_header = "x-tyk-authorization" if path.startswith("/tyk/") else "authorization"
        # as bytes: notes are in any language, and text would have to be Latin-1
        sent = {name: value.encode(errors="surrogateescape") for name, value in {key_header: self.key(), **(headers or {})}.items()}
        try:
            # takes no proxy and no other credential of the environment: the key is for this address alone
            with http_client.Client(read=_TIMEOUT, retries=0) as connection:
                answer = connection.request(method, self.url + path, json=body, headers=sent)
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL, requests.exceptions.MissingSchema):
            fail(f"`{self.url}` is not the address of an operator port; write one like http://127.0.0.1:8081", WRONG_USAGE)
        except requests.exceptions.InvalidJSONError:
            fail("infinite numbers cannot be sent", WRONG_USAGE)
        except requests.exceptions.InvalidHeader:
            fail("the operator key or the note holds a character that a header cannot carry, such as an end of line", WRONG_USAGE)
        except requests.exceptions.ReadTimeout:
            fail(f"{self.url} did not answer within {_TIMEOUT:.0f} s; the call may still take effect there", UNREACHABLE)
        except requests.RequestException as error:
            why = type(error).__name__
            fail(f"the gateway cannot be reached at {self.url} ({why}); is it running? --url names another operator port", UNREACHABLE)
        if answer.status_code == 404 and not refusal:
            return None
        try:
            document = answer.json()
        except ValueError:
            document = None
        if not isinstance(document, dict | list):
            self._other_place(answer.status_code)
        if not answer.ok:
            self._refused(answer.status_code, document)
        return document

    def noted(self, note: str) -> dict[str, str]:
        """Return the headers of a write that say who and why."""
        said = {"X-Gatehouse-Author": self.author, "X-Gatehouse-Note": note}
        return {name: " ".join(text.split()) for name, text in said.items() if text.strip()}  # a header has one line

    def _other_place(self, status: int) -> NoReturn:
        fail(f"{self.url} answered {status}, but not as an operator port; is it the public port? --url names another", UNREACHABLE)

    def _refused(self, status: int, document: Any) -> NoReturn:
        body = document if isinstance(document, Mapping) else {}
        if body.get("status") == "error":  # below /tyk/
            body = {_OF_TYK.get(name, name): value for name, value in body.items()}
        if "Code" not in body:
            if status == 404 or not body.get("error"):
                self._other_place(status)
            fail(f"{body['error']} ({status})", REFUSED, {"status": status, "code": body.get("code"), "request_id": body.get("request_id")})
        message, errors = str(body.get("Message") or "refused"), body.get("Errors") or []
        details = {"status": status, "code": body["Code"], "mistakes": errors, "request_id": body.get("RequestId")}
        if body["Code"] in _HINTS:
            message += f": {_HINTS[body['Code']]}"
        if not errors:
            fail(f"{message} ({status})", REFUSED, details)
        # the message would repeat them all
        fail(f"refused, {counted(len(errors), 'mistake')} ({status})", REFUSED, details, [f"  {line}" for line in place_lines(errors)])


def place_lines(places: Iterable[Mapping[str, str]]) -> list[str]:
    return [f"{place['pointer'] or '/'}: {place['message']}" for place in places]


def path_of(*parts: str) -> str:
    return "".join("/" + quote(part, safe="") for part in parts)


def every_page(client: Client, path: str, take: Callable[[Any], list[Any]], pages: str = "pages") -> list[Any]:
    """Return all elements of a list, page after page: one answer with everything could take longer than a call may."""
    found: list[Any] = []
    number = 0
    while True:
        answer = client.call("GET", f"{path}{'&' if '?' in path else '?'}p={number}&page_size={_PAGE}")
        found += take(answer)
        number += 1
        if number > answer[pages]:
            return found


def warn(answer: Mapping[str, Any]) -> None:
    """Print what an operator should know about a finished write; with `--json` it is part of what is shown."""
    if wants_json():
        return
    for place in answer.get("Warnings", ()):
        click.echo(f"warning: {place['pointer']}: {place['message']}", err=True)
    if answer.get("Unconfirmed"):
        click.echo(f"warning: not confirmed yet by {', '.join(answer['Unconfirmed'])}", err=True)
