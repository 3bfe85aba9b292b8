"""Scripts in JavaScript: what they get and give, where they run, and how they end."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_TIMEOUT, Refusal, RefusalKind
from services.gateway.scripts import frames
from services.gateway.scripts.beside import spawn
from services.gateway.scripts.engine import syntax_error
from services.gateway.scripts.program import Entry, Program, Source
from services.gateway.scripts.scripts import inline_context

Load = Callable[..., Any]


def middleware(body: str) -> str:
    """The text of a file whose object `one` runs this."""
    return f"""var one = new TykJS.TykMiddleware.NewMiddleware({{}});
one.NewProcessRequest(function (request, session, config) {{
{body}
return one.ReturnData(request, session.meta_data);
}});"""


def refused(call: Any, kind: RefusalKind, **more: Any) -> None:
    with pytest.raises(Refusal) as refusal:
        call(**more)
    assert refusal.value.kind is kind


def test_a_script_that_ends_at_once_runs_on_the_loop(load: Load) -> None:
    text = middleware("request.SetHeaders['X-A'] = config.config_data.a + request.Headers['Host'][0]; request.DeleteHeaders.push('Cookie')")
    out, inline = load(text, config_data={"a": "b "})()
    assert (out, inline) == ({"set": {"X-A": "b a.test"}, "del": ["Cookie"]}, True)


def test_a_script_that_changes_nothing_says_nothing(load: Load) -> None:
    assert load(middleware(""))(Body="text")[0] == {}


def test_session_meta_is_given_back_to_who_got_a_session(load: Load) -> None:
    call = load(middleware("session.meta_data.seen = 'yes'"))
    assert call(session={"meta_data": {"a": "b"}})[0] == {"meta": {"a": "b", "seen": "yes"}}
    assert call()[0] == {}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("b64enc('h\u00e9?')", "aMOpPw=="),
        ("b64dec('aMOpPw==')", "h\u00e9?"),
        ("b64dec('aMOpPw')", "h\u00e9?"),
        ("rawb64enc('h\u00e9?')", "aMOpPw"),
        ("rawb64dec('aMOpPw')", "h\u00e9?"),
        ("String(b64dec('*'))", "undefined"),
        ("String(rawb64dec('aMOpPw=='))", "undefined"),
        ("b64enc('')", ""),
    ],
)
def test_base64(load: Load, expression: str, value: str) -> None:
    assert load(middleware(f"request.SetHeaders.a = {expression}"))()[0]["set"] == {"a": value}


def test_what_a_script_answers(load: Load) -> None:
    text = middleware("request.ReturnOverrides = {ResponseCode: 401, ResponseError: 'no', ResponseHeaders: {a: 'b'}}")
    assert load(text)()[0]["over"] == {"code": 401, "error": "no", "headers": {"a": "b"}}


@pytest.mark.parametrize(
    "body",
    ["undefined.x", "throw 5", "return null", "return {}", "function f() { f() }; f()"],
    ids=["error", "thrown", "nothing", "no request", "deep"],
)
def test_a_fault_is_a_refusal(load: Load, body: str) -> None:
    refused(load(middleware(body)), SCRIPT_FAILED)


def test_too_much_memory(load: Load) -> None:
    refused(load(middleware("var a = []; while (true) a.push('x'.repeat(100000))")), SCRIPT_FAILED)


@pytest.mark.parametrize("inline", [True, False])
def test_what_is_nested_too_deep_is_a_fault(load: Load, inline: bool) -> None:
    away = "" if inline else "var end = Date.now() + 10; while (Date.now() < end) {}"
    text = middleware(f"{away} session.meta_data.a = JSON.parse(request.Body)")
    refused(load(text), SCRIPT_FAILED, Body="[" * 1500 + "]" * 1500, session={"meta_data": {}})


def test_a_context_that_is_full_is_given_up(load: Load) -> None:
    """What a script keeps in globals must not refuse all that come after."""
    call = load("var kept = [];" + middleware("if (request.Body) kept.push(JSON.parse(request.Body)); request.SetHeaders.a = 'b'"))
    many = "[" + "1," * 20_000 + "1]"
    ran = (call(Body=many) for _ in range(60))
    assert next(out for out, inline in ran if not inline) == {"set": {"a": "b"}}


@pytest.mark.parametrize("body", ["while (true) {}", "/^(a+)+$/.test('a'.repeat(60) + 'b')"], ids=["loop", "regular expression"])
def test_what_does_not_end_is_stopped_beside_the_loop(load: Load, body: str) -> None:
    refused(load(middleware(body), seconds=0.5), SCRIPT_TIMEOUT)


def test_a_script_that_overran_its_time_stays_beside_for_a_while(load: Load) -> None:
    text = middleware("if (request.Body) { var end = Date.now() + 50; while (Date.now() < end) {} } request.SetHeaders.a = 'b'")
    call = load(text)
    assert call() == ({"set": {"a": "b"}}, True)
    assert call(Body="x") == ({"set": {"a": "b"}}, False)
    assert call() == ({"set": {"a": "b"}}, False)


def test_a_long_regular_expression_runs_beside_and_a_short_one_does_not(load: Load) -> None:
    call = load(middleware("request.SetHeaders.a = String(/^[a-z]+@[a-z]+[.]com$/.test(request.Body)) + 'a-b-c'.replace(/-/g, '_')"))
    assert call(Body="a@b.com") == ({"set": {"a": "truea_b_c"}}, True)
    assert call(Body="a" * 1000) == ({"set": {"a": "falsea_b_c"}}, False)
    assert call(Body="a@b.com")[1], "that was one text, not the script"


@pytest.mark.parametrize(
    "expression",
    [
        "new RegExp('a?'.repeat(24) + 'b').test('a'.repeat(16))",
        "/((a+)+)+$/.test('a'.repeat(15) + 'b')",
        "/(a|a|a)*$/.test('a'.repeat(15) + 'b')",
        "new RegExp('(a|a)'.repeat(22) + 'b').test('a'.repeat(30))",
        "new RegExp('(?:'.repeat(60) + 'a' + ')'.repeat(60)).test('a')",
        "request.Body.indexOf('a'.repeat(20000) + 'b')",
        "request.Body.split('a'.repeat(20000) + 'b').length",
        "new Array(50000000).join('').length",
        "new Array(50000000).indexOf('a')",
        "[].concat(new Array(50000000)).length > 0",
        "new Uint8Array(4000000).join()",
        "JSON.stringify(new Array(3000000))",
    ],
)
def test_what_may_take_a_built_in_function_long_is_left(expression: str) -> None:
    """In none of them the engine can be interrupted, so the loop would stand still."""
    program = Program((Source("a.js", middleware(expression), "javascript"),), (Entry("pre", "javascript", "one", 0, 0),), {})
    given = json.dumps({"Body": "a" * 40_000, "URL": "/"})
    assert "left" in json.loads(inline_context(program).run(0, given, ""))


@pytest.mark.parametrize(
    "expression",
    [
        r"/^(\d{1,3}\.){3}\d{1,3}$/.test('203.113.100.201')",
        r"/^(\w+\.)*\w+$/.test('a.b.test')",
        r"/^(GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS)$/.test('OPTIONS')",
        r"/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test('123E4567-e89b-12d3-a456-426614174000')",
        r"/^https?:\/\/[^\/]+\/(?=v)(?:v[12]|latest)\/[\]\(]?/.test('https://a.test/v1/')",
        "'a b'.replace('a', '$&') === 'a b' && [3, 1].concat([2]).sort().join('') === '123' && 'a,b'.split(',').indexOf('b') === 1",
    ],
)
def test_what_ends_soon_stays_on_the_loop(load: Load, expression: str) -> None:
    assert load(middleware(f"request.SetHeaders.a = String({expression})"))() == ({"set": {"a": "true"}}, True)


@pytest.mark.parametrize(
    "call", ["TykGetKeyData('a', 'b')", "TykSetKeyData('a', '{}', 0)", "TykMakeHttpRequest('{}')", "TykBatchRequest('{}')"]
)
def test_a_script_that_asks_somebody_never_runs_on_the_loop(load: Load, call: str) -> None:
    out, inline = load(middleware(f"request.SetHeaders.a = 'b'; {call}"))()
    assert (out["set"], inline) == ({"a": "b"}, False)


def test_an_asking_function_by_another_name_leaves_the_loop(load: Load) -> None:
    text = middleware("try { globalThis['Tyk' + 'MakeHttpRequest']('{}') } catch (e) {} request.SetHeaders.a = 'b'")
    out, inline = load(text)()
    assert (out["set"], inline) == ({"a": "b"}, False)


def test_files_of_one_api_share_their_globals(load: Load) -> None:
    assert load(middleware("request.SetHeaders.a = shared"), "var shared = 'b'")()[0] == {"set": {"a": "b"}}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("var a = 1;\nfunction f() {\n  var x = ;\n}", "line 3, column 11"),
        ("var x = {a:1 b:2};", "line 1, column 13"),
        ("if (x) {\n f(\n", "line 3, column 1"),
        ('var a = {\n  b: ""\n\t\tc: 5\n}', "line 3, column 3"),
        ("var a = 1\n\nreturn 5", "line 3, column 6"),
    ],
)
def test_where_a_syntax_error_is(text: str, place: str) -> None:
    error = syntax_error(text)
    assert error is not None
    line, column = place.removeprefix("line ").split(", column ")
    said_line, said_column = error.place.removeprefix("line ").split(", column ")
    assert said_line == line
    assert abs(int(said_column) - int(column)) <= 1


def test_nothing_is_wrong_and_nothing_is_run() -> None:
    assert syntax_error("while (true) {}") is None


def test_an_answer_that_comes_behind_the_end_of_its_run() -> None:
    """It must not end the process, and with it the runs of others."""
    text = middleware("request.SetHeaders.a = String(TykGetKeyData('a', 'b'))")
    program = Program((Source("a.js", text, "javascript"),), (Entry("pre", "javascript", "one", 0, 0),), {})
    ours, theirs = socket.socketpair()
    with theirs:
        child = spawn(theirs.fileno())
    try:
        with ours:
            ours.settimeout(20)
            ours.sendall(frames.write({"program": program.as_json(), "memory": 1 << 26, "allowed": [], "threads": 1}))
            for number in (1, 2):
                ours.sendall(frames.write({"run": number, "entry": 0, "session": "", "seconds": 0.3}, '{"URL": "/", "Body": ""}'))
                assert frames.receive(ours)["ask"] == "TykGetKeyData"
                assert json.loads(frames.receive(ours)["text"])["set"] == {"a": "undefined"}
                ours.sendall(frames.write({"run": number, "answer": {"value": "late"}}))
    finally:
        child.kill()
        child.wait()
