"""Scripts in Python: the same request object, in a process of their own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.gateway.definitions.reader import Mistakes
from services.gateway.refusals import SCRIPT_FAILED, SCRIPT_TIMEOUT, Refusal
from services.gateway.scripts import frames
from services.gateway.scripts.beside import spawn
from services.gateway.scripts.program import Entry, Program, Source
from tests.support.waiting import wait_until

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


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_a_script_started_ends_with_it(load: Load, tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    text = function(
        "import pathlib, subprocess",
        f"pathlib.Path({str(noted)!r}).write_text(str(subprocess.Popen(['sleep', '300']).pid))",
        "while True: pass",
    )
    with pytest.raises(Refusal):
        load(text, driver="python", seconds=2)()
    wait_until(lambda: not is_running(int(noted.read_text())), 10, "the end of what the script started")


def test_a_large_text_is_sent_as_it_is(load: Load) -> None:
    """Its JSON must not be written and read once more on the event loop, which would stand still meanwhile."""
    text = 'é"\n' * 1000
    assert frames.write({"run": 1}, text).endswith(b'{"run": 1}\n' + text.encode())
    assert frames.read(frames.write({"run": 1}, text)[4:]) == {"run": 1, "text": text}
    out, _ = load(function("request['Body'] += request['Body']"), driver="python")(Body=text * 100)
    assert out == {"body": text * 200}


def test_a_process_ends_behind_its_worker_whatever_a_script_does(tmp_path: Path) -> None:
    """This expression keeps the lock of the interpreter, so that no thread sees that the worker is gone."""
    noted = tmp_path / "started"
    text = function("import pathlib, re", f"pathlib.Path({str(noted)!r}).touch()", "re.match('(a+)+$', 'a' * 60 + 'b')")
    ours, theirs = socket.socketpair()
    with theirs:
        child = spawn(theirs.fileno())
    with ours:
        program = Program((Source("a.py", text, "python"),), (Entry("pre", "python", "one", 0, 0),), {})
        ours.sendall(frames.write({"program": program.as_json(), "memory": 1 << 26, "allowed": [], "threads": 1}))
        ours.sendall(frames.write({"run": 1, "entry": 0, "session": "", "seconds": 0.1}, '{"URL": "/", "Body": ""}'))
        wait_until(noted.exists, 10, "the start of the script")
    try:
        assert child.wait(20) < 0
    finally:
        child.kill()


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
