"""The process in which scripts of one API run that compute long, call out or are in Python. A program: `python -m … DESCRIPTOR`.

Its worker speaks with it over a socket (`frames`): first the program, then runs. Each of its threads has a context of its own; JavaScript
lets go of the interpreter's lock, so they run beside each other. What runs too long is not ended here: the worker kills the process. It
ends by itself when its worker is gone, with what its scripts started; and by an alarm of the system when a script keeps it from seeing
that. It has none of the gateway's settings and secrets in its environment.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import sys
import threading
import time
import traceback
from queue import SimpleQueue
from typing import Any, Final

from services.common.addresses import parse_network
from services.gateway.scripts import frames
from services.gateway.scripts.calls import CallFailed, Calls
from services.gateway.scripts.engine import Context, OutOfRoom, ScriptError
from services.gateway.scripts.program import Program
from services.gateway.scripts.python_scripts import PythonScripts

_LONGEST_FAULT: Final = 500
# What is left of the time of a run when its last call out must have ended, so that the script can still say what it makes of that.
_LEFT_AFTER_CALLS: Final = 0.2
# Seconds after the time of the last run that the alarm waits for: until then a worker that is there has killed the process.
_GRACE: Final = 2


class _Run(threading.local):
    """The run of this thread. ends: on `time.monotonic`."""

    id = 0
    ends = 0.0
    context: Context | None = None


class Child:
    """The whole process. given: the first message of the worker."""

    def __init__(self, link: socket.socket, given: dict[str, Any]) -> None:
        self._link = link
        self._program = Program.of_json(given["program"])
        self._memory: int = given["memory"]
        self._calls = Calls([parse_network(one) for one in given["allowed"]])
        self._python = PythonScripts(self._program)
        self._runs: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._answers: dict[int, SimpleQueue[Any]] = {}
        self._sending = threading.Lock()
        self._run = _Run()
        self._most: int = given["threads"]
        self._threads = 0
        self._counting = threading.Lock()
        self._under_way = 0

    def serve(self) -> None:
        """Take messages until the worker is gone."""
        while True:
            message = frames.receive(self._link)
            if "answer" in message:
                waiting = self._answers.get(message["run"])
                if waiting is not None:  # its run did not wait any longer
                    waiting.put(message["answer"])
                continue
            message["ends"] = time.monotonic() + message["seconds"]
            with self._counting:
                self._under_way += 1
                signal.alarm(math.ceil(message["seconds"]) + _GRACE)
            self._runs.put(message)
            if self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            message = self._runs.get()
            run = self._run
            run.id, run.ends = message["run"], message["ends"]
            self._answers[run.id] = SimpleQueue()
            try:
                out = self._out(message)
            except (ScriptError, OutOfRoom) as error:
                out = json.dumps({"fault": str(error)})
                run.context = None
            except BaseException as error:  # `sys.exit()` in a script ends its run, and must not end this thread
                out = json.dumps({"fault": traceback.format_exception_only(error)[-1].strip()[:_LONGEST_FAULT]})
            del self._answers[run.id]
            self._send({"run": run.id}, out)
            with self._counting:
                self._under_way -= 1
                if not self._under_way:
                    signal.alarm(0)

    def _out(self, message: dict[str, Any]) -> str:
        entry = self._program.entries[message["entry"]]
        if entry.language == "python":
            return json.dumps(self._python.run(entry, message["text"], message["session"]), ensure_ascii=False)
        run = self._run
        if run.context is None:
            sources, entries = self._program.of("javascript")
            run.context = Context(sources, entries, self._program.config, host=self._host, memory=self._memory)
        return run.context.run(entry.place, message["text"], message["session"])

    def _host(self, name: str, arguments: str) -> str:
        """Answer `__host` of a context. Never raises: the engine would not tell the script why."""
        try:
            return json.dumps({"value": self._asked(name, json.loads(arguments))})
        except CallFailed as error:
            return json.dumps({"value": None, "error": str(error)})
        except Exception as error:
            return json.dumps({"value": None, "error": type(error).__name__})

    def _asked(self, name: str, arguments: list[str]) -> Any:
        run = self._run
        ends = run.ends - _LEFT_AFTER_CALLS
        if name == "TykMakeHttpRequest":
            return self._calls.single(arguments[0], ends)
        if name == "TykBatchRequest":
            return self._calls.batch(arguments[0], ends)
        self._send({"run": run.id, "ask": name, "arguments": arguments})
        answer = self._answers[run.id].get(timeout=max(ends - time.monotonic(), 0.01))
        if "error" in answer:
            raise CallFailed(answer["error"])
        return answer["value"]

    def _send(self, message: dict[str, Any], text: str = "") -> None:
        try:
            data = frames.write(message, text)
        except frames.TooLarge:
            data = frames.write({"run": message["run"]}, json.dumps({"fault": "the script returned more than the gateway takes"}))
        with self._sending:
            self._link.sendall(data)


def main(descriptor: int) -> None:
    """Serve the worker at the other end of a socket."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 15)  # what computes for long must not take the processor from those who serve
    link = socket.socket(fileno=descriptor)
    with contextlib.suppress(EOFError, OSError):
        Child(link, frames.receive(link)).serve()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)  # threads that still run are not waited for


if __name__ == "__main__":
    main(int(sys.argv[1]))
