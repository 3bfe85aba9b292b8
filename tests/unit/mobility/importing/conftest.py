"""A stand-in for the service, with its wire and no database: importers know it only over HTTP. It fails as it is told to."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.common.refusal import Refusal
from services.mobility.cli import program
from services.mobility.nodes.rules import ids

PASSWORD = "right"


@dataclass
class Answer:
    """What the stand-in says instead of doing anything. cut: end the connection without an answer, after the write has been done."""

    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


class Service:
    """Sessions, layers and nodes in memory. faults: answers to come, by path; None: the real one. bodies: of all bulk calls."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.layers: dict[str, dict[str, Any]] = {"gtfs": {}, "my.places": {}}
        self.statuses: dict[str, str] = {}
        self.faults: dict[str, list[Answer | None]] = {}
        self.bodies: list[dict[str, Any]] = []
        self.logins: list[Mapping[str, Any]] = []
        self.keys: set[str] = set()
        self.refused_ids: set[str] = set()
        self.says_index = True
        self.body_limit = 10 * 1024 * 1024
        self.dry_runs = 0
        self.in_use: set[str] = set()
        self.deleted: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def secure(self, certificate: Path, key: Path) -> str:
        """Speak TLS from now on. Returns the address."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        return self.url.replace("http:", "https:")

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def fail_with(self, path: str, *answers: Answer | None) -> None:
        self.faults[path] = list(answers)

    def answer(self, method: str, target: str, key: str, content: bytes) -> Answer:
        path, _, query = target.partition("?")
        fault = self.faults[path].pop(0) if self.faults.get(path) else None
        if fault is not None and not fault.cut:
            return fault
        found = self._do(method, path, query, key, content)
        return fault or found

    def _do(self, method: str, path: str, query: str, key: str, content: bytes) -> Answer:
        parts = path.strip("/").split("/")
        if path == "/get_session":
            given = json.loads(content)
            self.logins.append(given)
            if given["p"] != PASSWORD:
                return _fail(401, "Not Authorized")
            self.keys.add(f"key-{len(self.logins)}")
            return _good(results=[f"key-{len(self.logins)}"])
        if path == "/release_session":
            self.keys.discard(key)
            return _good()
        if method == "GET" and parts[0] == "layer":
            return _good(results=[self.layers[parts[1]]]) if parts[1] in self.layers else _fail(404, "Unknown layer or invalid layer spec")
        if method == "GET" and len(parts) == 1:
            layer = query.removeprefix("layer=")
            return _good(results=[{"layers": {layer: {"data": self.nodes[parts[0]]["data"]}}}])
        if key not in self.keys:
            return _fail(401, "Not Authorized")
        if method == "DELETE":
            if parts[0] in self.in_use:
                return _good(node="kept")
            del self.nodes[parts[0]]
            self.deleted.append(parts[0])
            return _good(node="deleted")
        body = json.loads(content)
        if path == "/layers":
            self.layers[body["data"]["name"]] = body["data"]
            return _good()
        if parts[0] == "layer":
            self.statuses[parts[1]] = body["data"]
            return _good()
        if parts[1] not in self.layers:
            return _fail(404, f"Invalid layer spec: {parts[1]}")
        if len(content) > self.body_limit:
            return _fail(413, "The body is too large.")
        dry_run = "dry_run=true" in query
        if not dry_run or body["create"]["params"]["create_type"] != "routes":  # these look only which lines there are
            self.bodies.append(body)
        return self._bulk(parts[1], body, dry_run)

    def _bulk(self, layer: str, body: Mapping[str, Any], dry_run: bool) -> Answer:
        created, updated, pending = [], [], {}
        for index, node in enumerate(body["nodes"]):
            where = {"index": index} if self.says_index else {}
            try:
                cdk_id = ids.of_text(layer, node["id"], where)
            except Refusal as refusal:
                return _fail(422, refusal.message, **where)
            if node["id"] in self.refused_ids:
                return _fail(422, f"'{node['id']}' is refused", **where)
            missing = [member for member in node.get("cdk_ids", ()) if member not in self.nodes]
            if missing:
                return _fail(422, f"Nonexistent cdk_id --> {missing[0]}", **where)
            if cdk_id in self.nodes:
                updated.append({"id": node["id"], "cdk_id": cdk_id})
            else:
                created.append({"id": node["id"], "cdk_id": cdk_id})
            pending[cdk_id] = {**node, **body["create"]["params"]}
        self.dry_runs += dry_run
        if not dry_run:
            for cdk_id, node in pending.items():  # what exists keeps its members
                self.nodes[cdk_id] = {**node, **({"cdk_ids": self.nodes[cdk_id].get("cdk_ids")} if cdk_id in self.nodes else {})}
        results = {"created": created, "updated": updated, "totals": {"created": len(created), "updated": len(updated)}}
        return _good(create={"params": body["create"]["params"], "results": results})


def _good(**more: Any) -> Answer:
    return Answer(200, {"status": "success", **more})


def _fail(status: int, message: str, **more: Any) -> Answer:
    return Answer(status, {"status": "fail", "message": message, **more})


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = service.answer(self.command, self.path, self.headers.get("X-Auth", ""), content)
            if answer.cut:
                self.close_connection = True
                return
            body = json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = _serve

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()
    yield found
    found.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Importers do not wait; what they would wait is noted."""
    found: list[float] = []
    monkeypatch.setattr("services.mobility.importing.client.time.sleep", found.append)
    return found


Import = Callable[..., Result]


@pytest.fixture
def run(service: Service, pauses: list[float], tmp_path: Path) -> Import:
    """Run an importer as a user does: `run("geojson", file, "--layer", "my.places")`."""

    def run(*arguments: str | Path, environ: Mapping[str, str] | None = None, url: str = "") -> Result:
        options = ["--url", url or service.url, "--email", "owner@example.org", "--states", str(tmp_path / "states")]
        usual = {"GATEHOUSE_MOBILITY_PASSWORD": PASSWORD, "AUTH_ADMIN_PASSWORD": ""}
        return CliRunner().invoke(program, ["import", *map(str, arguments), *options], env={**usual, **(environ or {})})

    return run


def done(result: Result) -> Any:
    """The document of an import that went well; it was asked for with `--json`."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def stopped(result: Result, status: int = 1) -> str:
    """What a failed import says."""
    assert result.exit_code == status, result.output
    return result.stderr
