"""What an event says, and the bodies that are written from it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from services.gateway import refusals
from services.gateway.events.messages import Event, Templates, body, checked, of_refusal
from services.gateway.exchange import Exchange
from services.gateway.keys.model import Key
from services.gateway.refusals import Refusal
from services.gateway.wire.heads.requests import HeaderSection
from tests.support.log_lines import captured

AT = "2026-01-01T00:00:00.000Z"
SAID = {"Message": "Auth Failure", "Path": '/x/a"b<c>&', "Origin": "10.1.2.3", "Key": "abcd****"}
EVENT = Event("AuthFailure", "one", AT, SAID)


def exchange(key: Key | None = None, presented: str = "") -> Exchange:
    made = Exchange("GET", "/one/x", "", HeaderSection.of([]), "10.0.0.1", "10.1.2.3", "r1", 0.0)
    made.key = key
    made.presented_key = presented
    return made


@pytest.mark.parametrize(
    ("presented", "shown"),
    [("", ""), ("nokey", "****"), ("0123456789a", "****"), ("0123456789ab", "0123****")],
)
def test_an_unknown_key_is_masked(presented: str, shown: str) -> None:
    said = of_refusal(exchange(presented=presented), Refusal(refusals.KEY_UNKNOWN), AT).metadata
    assert said == {"Message": "Auth Failure", "Path": "/one/x", "Origin": "10.1.2.3", "Key": shown}


def test_a_known_key_goes_by_its_public_id() -> None:
    event = of_refusal(exchange(Key("public-id"), "the secret of the key"), Refusal(refusals.QUOTA_EXCEEDED), AT)
    assert (event.name, event.metadata["Key"]) == ("QuotaExceeded", "public-id")
    assert "secret" not in repr(event)


@pytest.mark.parametrize("spelling", ["gh_acc_", "gh%255Facc%255F"])
def test_a_secret_in_the_path_is_masked(spelling: str) -> None:
    refused = exchange()
    refused.path = f"/one/{spelling}{'0Az9' * 12}x/more"
    assert of_refusal(refused, Refusal(refusals.KEY_UNKNOWN), AT).metadata["Path"] == f"/one/{spelling}***/more"


def test_a_refused_address_is_the_key() -> None:
    assert of_refusal(exchange(), Refusal(refusals.IP_REFUSED), AT).metadata["Key"] == "10.1.2.3"


def test_a_version_failure_has_no_key_but_a_reason() -> None:
    said = of_refusal(exchange(Key("public-id")), Refusal(refusals.ENDPOINT_FORBIDDEN), AT).metadata
    assert (said["Key"], said["Reason"]) == ("", "Requested endpoint is forbidden")


def test_the_default_body_is_real_json() -> None:
    text = body(EVENT, None)
    assert "&#" not in text and "&lt;" not in text
    said = json.loads(text)
    assert {name: said[name] for name in ("event", "message", "path", "origin", "key")} == {
        "event": "AuthFailure",
        "message": "Auth Failure",
        "path": '/x/a"b<c>&',
        "origin": "10.1.2.3",
        "key": "abcd****",
    }


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (
            '{"e": "{{.EventType}}", "p": "{{ .EventMetaData.Path }}", "t": "{{.TimeStamp}}"}',
            {"e": "AuthFailure", "p": '/x/a"b<c>&', "t": AT},
        ),
        ('{"e": "{{.Type}}", "k": "{{.Meta.Key}}"}', {"e": "AuthFailure", "k": "abcd****"}),
        ('{"a": "{{.EventMetaData.Nothing}}", "b": "{{.Nothing}}", "c": "{{.Meta.No.Such}}"}', {"a": "", "b": "", "c": ""}),
        ('{"a": "x {{- .EventType -}} y", {{/* a comment */}}"b": 1}', {"a": "xAuthFailurey", "b": 1}),
        ('{"a": "{{.EventType -}} {{- /* {{ }} * / */ -}} z"}', {"a": "AuthFailurez"}),
    ],
)
def test_templates_escape_what_they_put_in(template: str, text: Any) -> None:
    assert json.loads(body(EVENT, checked(template))) == text


def test_a_value_is_never_read_as_a_template() -> None:
    event = Event("E", "one", AT, {**SAID, "Path": "{{.EventMetaData.Key}}"})
    assert body(event, "{{.Meta.Path}}") == "{{.EventMetaData.Key}}"


@pytest.mark.parametrize(
    "template",
    [
        "{{if .EventType}}x{{end}}",
        "{{.EventType | js}}",
        "{{.EventType",
        "}}",
        "{{call .X}}",
        "{{}}",
        "{{/* a */ b */}}",
        "{{/* a",
        "{{-.X}}",
    ],
)
def test_anything_but_fields_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="only fields such as"):
        checked(template)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("unit", [" ", "{{/*", "{{- ", "{{.a ", "{{/* */", "{{.T}} ", "}}", "{{.a.a"])
def test_the_time_to_read_a_template_grows_with_it_and_no_faster(unit: str) -> None:
    def cost(size: int) -> float:
        times = []
        for _ in range(5):
            began = time.thread_time()
            with contextlib.suppress(ValueError):
                checked((unit * size)[:size])
            times.append(time.thread_time() - began)
        return min(times)

    assert cost(64_000) < 24 * cost(8_000) + 1e-4  # 8 would be linear, 64 the square


def test_templates_are_read_again_when_they_change(tmp_path: Path) -> None:
    templates = Templates(tmp_path)
    file = tmp_path / "one.json"
    file.write_text("first")
    assert templates.get("one.json") == "first"
    file.write_text("second")
    os.utime(file, (1, 1))
    assert templates.get("one.json") == "second"
    assert templates.get("") is None


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link", "missing", "folder", "binary", "large", "code"])
def test_what_is_no_template_gives_the_default_body(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "templates"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "large").write_text("x" * 70_000)
    (folder / "code").write_text("{{range .X}}{{end}}")
    templates = Templates(folder)
    with captured() as lines:
        assert [templates.get(path) for _ in range(3)] == [None, None, None]
    assert [line["template"] for line in lines] == [path]
