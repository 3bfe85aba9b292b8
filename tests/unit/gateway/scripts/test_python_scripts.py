"""Scripts in Python: the same request object, in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.gateway.definitions.reader import Mistakes
from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_TIMEOUT, Refusal

Load = Callable[..., Any]


def function(*lines: str) -> str:
    return "def one(request, session, config):\n" + "".join(f"    {line}\n" for line in lines)


def test_it_changes_the_request(load: Load) -> None:
    text = function(
        "request['SetHeaders']['X-A'] = config['config_data']['a']", "request['Body'] = request['Body'] + '!'", "return request"
    )
    assert load(text, driver="python", config_data={"a": "b"})(Body="x") == ({"set": {"X-A": "b"}, "body": "x!"}, False)


def test_it_refuses_and_logs(load: Load) -> None:
    text = function(
        "log('asked')", "request['ReturnOverrides']['ResponseCode'] = 403", "request['ReturnOverrides']['ResponseError'] = 'no'"
    )
    out, _ = load(text, driver="python")()
    assert (out["over"]["code"], out["over"]["error"], out["logs"]) == (403, "no", [["info", "asked"]])


def test_the_session(load: Load) -> None:
    out, _ = load(function("session['meta_data']['a'] = 'c'"), driver="python")(session={"meta_data": {"a": "b"}})
    assert out == {"meta": {"a": "c"}}


@pytest.mark.parametrize("line", ["raise ValueError('x')", "return 5", "1 / 0", "raise SystemExit(1)", "import os; os._exit(1)"])
def test_a_fault_is_a_refusal(load: Load, line: str) -> None:
    with pytest.raises(Refusal) as refusal:
        load(function(line), driver="python")()
    assert refusal.value.kind is SCRIPT_FAILED


def test_what_does_not_end_is_stopped(load: Load) -> None:
    with pytest.raises(Refusal) as refusal:
        load(function("while True: pass"), driver="python", seconds=0.5)()
    assert refusal.value.kind is SCRIPT_TIMEOUT


def test_it_gets_none_of_the_settings_of_the_gateway(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_OPERATOR_KEY", "s3cret")
    text = function("import os", "request['SetHeaders']['a'] = ' '.join(name for name in os.environ if name.startswith('GATEWAY'))")
    assert load(text, driver="python")()[0] == {"set": {"a": ""}}


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [("def one(:\n  pass", "path", "line 1, column 9"), ("def two(): pass", "name", "no function `one`")],
)
def test_a_file_that_is_wrong(load: Load, text: str, place: str, said: str) -> None:
    with pytest.raises(Mistakes) as error:
        load(text, driver="python")
    [mistake] = error.value.mistakes
    assert mistake.pointer == f"/custom_middleware/pre/0/{place}"
    assert said in mistake.message
