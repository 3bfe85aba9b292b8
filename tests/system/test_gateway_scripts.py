"""Custom middleware, virtual endpoints and event handlers through a running gateway."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Gateway, definition, gateway
from tests.support.odd_upstream import OddUpstream, Request
from tests.support.raw_client import Answer, RawClient
from tests.support.waiting import wait_until

# In the style of Tyk's own samples.
HOOK = """var %(name)s = new TykJS.TykMiddleware.NewMiddleware({});
%(name)s.NewProcessRequest(function (request, session, config) {
    log("running %(name)s");
    %(body)s
    return %(name)s.ReturnData(request, session.meta_data);
});
log("%(name)s initialised");
"""
FILES = {
    "token.js": HOOK % {"name": "token", "body": "request.SetHeaders['Authorization'] = b64dec(request.Params['t'][0])"},
    "count.js": HOOK % {"name": "count", "body": "session.meta_data.seen = String(Number(session.meta_data.seen || 0) + 1)"},
    "last.js": HOOK
    % {
        "name": "last",
        "body": """request.SetHeaders['X-Seen'] = String(session.meta_data.seen);
    request.DeleteHeaders.push('Authorization'); request.AddParams.added = 'x y'; request.DeleteParams.push('t');
    if (request.Body) request.Body = request.Body.toUpperCase();""",
    },
    "odd.js": HOOK
    % {
        "name": "odd",
        "body": """if (request.Params.boom) undefined.x;
    if (request.Params.refuse) { request.ReturnOverrides.ResponseCode = 418; request.ReturnOverrides.ResponseError = 'no tea'; }
    if (request.Params.loop) while (true) {}""",
    },
    "virtual.js": """function answer(request, session, config) {
    var got = JSON.parse(TykMakeHttpRequest(JSON.stringify({Method: "POST", Domain: config.config_data.backend, Resource: "/made",
        Headers: {"X-A": "b"}, Body: "made"})));
    var body = JSON.stringify({code: got.Code, who: session.meta_data.who});
    return TykJsResponse({Body: body, Headers: {"X-Virtual": "yes"}, Code: 202}, session.meta_data);
}
function fails() { return undefined.x }
""",
    "event.js": """var told = new TykJS.TykEventHandlers.NewEventHandler({});
told.NewHandler(function (event, context) { log("told of " + event.Type + " by " + context.APIID + " at " + event.Meta.Path); });
""",
    "who.js": HOOK.replace("return %(name)s.ReturnData(request, session.meta_data)", "return %(name)s.ReturnAuthData(request, found)")
    % {
        "name": "who",
        "body": """var name = (request.Headers["X-Name"] || [""])[0], found = {key_id: name, rate: name === "slow" ? 1 : 0, per: 60};
    if (!name) request.ReturnOverrides = {ResponseCode: 401, ResponseError: "name?"};""",
    },
    "answer.js": """var answer = new TykJS.TykMiddleware.NewMiddleware({});
answer.NewProcessResponse(function (response, request, session, config) {
    if (request.Params.boom) undefined.x;
    response.StatusCode = 203; response.SetHeaders["X-Seen"] = response.Headers["X-Up"][0]; response.DeleteHeaders.push("X-Up");
    response.Body = response.Body.toUpperCase();
    return answer.ReturnResponseData(response, session.meta_data);
});
""",
    "folder/pre/tag.js": HOOK % {"name": "tag", "body": "request.SetHeaders['X-Tag'] = 'folder'"},
    "check.py": """def check(request, session, config):
    if "X-Pass" not in request["Headers"]:
        request["ReturnOverrides"].update(ResponseCode=401, ResponseError="pass, please")
    request["SetHeaders"]["X-Python"] = config["config_data"]["name"]
    return request
""",
}


def hook(name: str, path: str, *, session: bool = False) -> dict[str, Any]:
    return {"name": name, "path": path, "require_session": session}


def virtual(path: str, function: str, **more: Any) -> dict[str, Any]:
    source = {"function_source_type": "file", "function_source_uri": "virtual.js"}
    return {"path": path, "method": "GET", "response_function_name": function, **source, **more}


@pytest.fixture(scope="module")
def running(odd_upstream: OddUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("scripts")
    middleware = folder / "middleware"
    middleware.mkdir()
    for name, text in FILES.items():
        (middleware / name).parent.mkdir(parents=True, exist_ok=True)
        (middleware / name).write_text(text)
    url = f"{odd_upstream.url}/"
    keyed = {
        "pre": [hook("token", "token.js")],
        "post_key_auth": [hook("count", "count.js", session=True)],
        "post": [hook("last", "./middleware/last.js", session=True)],
    }
    paths = {"virtual": [virtual("/virtual", "answer"), virtual("/fails", "fails"), virtual("/goes-on", "fails", proxy_on_error=True)]}
    handler = {"handler_name": "eh_dynamic_handler", "handler_meta": {"name": "told", "path": "event.js"}}
    definitions = [
        definition("keyed", url, use_keyless=False, custom_middleware=keyed),
        definition("odd", url, custom_middleware={"driver": "otto", "pre": [hook("odd", "odd.js")]}),
        definition("plain", url),
        definition(
            "virtual", url, version={"use_extended_paths": True, "extended_paths": paths}, config_data={"backend": odd_upstream.url}
        ),
        definition("python", url, custom_middleware={"driver": "python", "post": [hook("check", "check.py")]}, config_data={"name": "p"}),
        definition(
            "who",
            url,
            use_keyless=False,
            custom_plugin_auth_enabled=True,
            custom_middleware={"driver": "otto", "auth_check": hook("who", "who.js")},
            enable_batch_request_support=True,
        ),
        definition("answers", url, custom_middleware={"response": [hook("answer", "answer.js")]}),
        definition("folder", url),
        definition("events", url, version={"expires": "2000-01-01 00:00"}, event_handlers={"events": {"VersionFailure": [handler]}}),
    ]
    with gateway(folder, definitions, {"GATEWAY_MIDDLEWARE_PATH": str(middleware), "GATEWAY_SCRIPT_TIMEOUT": "1"}) as started:
        yield started


def get(running: Gateway, path: str, *headers: bytes) -> Answer:
    with RawClient(running.port) as client:
        return client.get(path, *headers)


def test_scripts_around_the_key(running: Gateway, odd_upstream: OddUpstream) -> None:
    session = {"access_rights": {"keyed": {"versions": ["Default"]}}, "org_id": "default", "meta_data": {"seen": "4"}}
    status, created = running.operator("POST", "/tyk/keys/create", session)
    assert status == 200, created
    bodies: list[bytes] = []

    def answer(asked: Request) -> None:
        bodies.append(asked.body())
        asked.answer()

    odd_upstream.on("/a", answer)
    token = base64.b64encode(created["key"].encode()).decode()
    with RawClient(running.port) as client:
        client.send(b"POST /keyed/a?t=%b&q=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody" % token.encode())
        assert client.answer().status == 200
    asked = odd_upstream.seen[-1]
    assert (asked.target, bodies) == ("/a?q=1&added=x+y", [b"BODY"])
    assert (asked.field("x-seen"), asked.field("authorization")) == ("5", None)

    def saved() -> bool:
        return running.operator("GET", f"/tyk/keys/{created['key']}")[1]["meta_data"] == {"seen": "5"}

    wait_until(saved, 10, "the saved meta_data")


def test_a_script_ends_the_request(running: Gateway) -> None:
    assert get(running, "/odd/").status == 200
    refused = get(running, "/odd/?refuse=1")
    assert (refused.status, refused.json()["error"], refused.json()["code"]) == (418, "no tea", "script-refused")
    assert (get(running, "/odd/?boom=1").status, get(running, "/odd/?boom=1").json()["code"]) == (500, "script-failed")


def test_an_endless_script_costs_its_own_api(running: Gateway) -> None:
    with RawClient(running.port) as client:
        client.send(b"GET /odd/?loop=1 HTTP/1.1\r\nHost: h\r\n\r\n")
        for _ in range(20):
            assert get(running, "/plain/").status == 200
        answer = client.answer()
    assert (answer.status, answer.json()["code"]) == (500, "script-timeout")
    assert get(running, "/odd/").status == 200


def test_virtual_endpoints(running: Gateway, odd_upstream: OddUpstream) -> None:
    answer = get(running, "/virtual/virtual")
    assert (answer.status, answer.json(), answer.field("x-virtual")) == (202, {"code": 200}, "yes")
    assert answer.field("content-type") == "application/json"
    made = odd_upstream.seen[-1]
    assert (made.method, made.target, made.field("x-a"), made.field("content-length")) == ("POST", "/made", "b", "4")
    assert get(running, "/virtual/fails").json()["code"] == "script-failed"
    assert (get(running, "/virtual/goes-on").status, odd_upstream.seen[-1].target) == (200, "/goes-on")


def test_python(running: Gateway, odd_upstream: OddUpstream) -> None:
    refused = get(running, "/python/")
    assert (refused.status, refused.json()["error"]) == (401, "pass, please")
    assert get(running, "/python/", b"X-Pass: 1").status == 200
    assert odd_upstream.seen[-1].field("x-python") == "p"


def test_a_script_says_who_calls(running: Gateway) -> None:
    refused = get(running, "/who/")
    assert (refused.status, refused.json()["error"], refused.json()["code"]) == (401, "name?", "script-not-authorised")
    assert [get(running, "/who/", b"X-Name: fast").status for _ in range(3)] == [200, 200, 200]
    assert [get(running, "/who/", b"X-Name: slow").status for _ in range(2)] == [200, 429]


def test_each_entry_of_a_batch_is_asked_for(running: Gateway) -> None:
    entries = [{"method": "GET", "relative_url": "a", "headers": headers} for headers in ({}, {"X-Name": "batch"})]
    for padding in ("", " " * 70_000):  # a large envelope is asked for itself
        body = json.dumps({"requests": entries}).encode() + padding.encode()
        with RawClient(running.port) as client:
            client.send(b"POST /who/tyk/batch/ HTTP/1.1\r\nHost: h\r\nX-Name: outer\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            assert sorted(one["code"] for one in client.answer().json()) == [200, 401]


def test_a_script_changes_answers(running: Gateway, odd_upstream: OddUpstream) -> None:
    odd_upstream.on("/up", lambda asked: asked.answer(b"text", b"X-Up: 1", b'ETag: "e"'))
    answer = get(running, "/answers/up", b"Accept-Encoding: gzip")
    assert (answer.status, answer.body, answer.field("x-seen")) == (203, b"TEXT", "1")
    assert [answer.field(name) for name in ("x-up", "etag")] == [None, None]
    assert odd_upstream.seen[-1].field("accept-encoding") is None
    failed = get(running, "/answers/up?boom=1")
    assert (failed.status, failed.json()["code"], failed.field("x-up")) == (500, "script-failed", None)


def test_scripts_of_a_folder(running: Gateway, odd_upstream: OddUpstream) -> None:
    assert get(running, "/folder/").status == 200
    assert odd_upstream.seen[-1].field("x-tag") == "folder"
    file = Path(running.env["GATEWAY_MIDDLEWARE_PATH"]) / "folder" / "pre" / "tag.js"
    file.unlink()
    assert running.operator("GET", "/tyk/reload/?block=true")[0] == 200
    assert get(running, "/folder/").status == 200
    assert odd_upstream.seen[-1].field("x-tag") is None


def test_an_event(running: Gateway) -> None:
    assert get(running, "/events/x").status == 403
    wait_until(lambda: "told of VersionFailure by events at /events/x" in running.process.text(), 10, "what the handler said")


def test_a_changed_file_counts_at_a_reload(running: Gateway) -> None:
    file = Path(running.env["GATEWAY_MIDDLEWARE_PATH"]) / "odd.js"
    file.write_text(FILES["odd.js"].replace("no tea", "no coffee"))
    assert running.operator("GET", "/tyk/reload/?block=true")[0] == 200
    assert get(running, "/odd/?refuse=1").json()["error"] == "no coffee"


def test_a_mistake_in_a_script_is_one_of_its_definition(running: Gateway, odd_upstream: OddUpstream) -> None:
    (Path(running.env["GATEWAY_MIDDLEWARE_PATH"]) / "bad.js").write_text("var a = 1;\nvar b = ;\n")
    bad = definition("bad", f"{odd_upstream.url}/", custom_middleware={"pre": [hook("a", "bad.js"), hook("b", "none.js")]})
    status, said = running.operator("POST", "/tyk/apis", bad)
    assert status == 400
    assert "/custom_middleware/pre/1/path" in json.dumps(said)
    bad["custom_middleware"]["pre"].pop()
    status, said = running.operator("POST", "/tyk/apis", bad)
    assert status == 400
    assert "line 2, column 9" in json.dumps(said)
