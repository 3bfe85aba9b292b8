"""The gateways that Gatehouse is measured against: nginx, Express Gateway and @fastify/http-proxy.

Each peer proxies `/bench/…` to the upstream with the prefix taken off, keeps connections alive on both sides and writes no access log.
"""

from __future__ import annotations

import http.client
import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.measure.processes import Servers, free_port, wait_for_port

PEERS = Path(__file__).parents[1] / "peers"
PREFIX = "/bench"


@dataclass(slots=True)
class Candidate:
    """A running gateway: where it listens, what a client must send, and whose CPU counts."""

    name: str
    port: int
    process: psutil.Process
    headers: dict[str, str] = field(default_factory=dict)
    path: str = PREFIX


def nginx_configuration(folder: Path, body: str, workers: int) -> Path:
    """Write an nginx configuration that lives wholly in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; worker_processes {workers}; pid {folder}/pid; error_log {folder}/error.log warn;\n"
        "events { worker_connections 4096; }\n"
        "http {\n  types {} default_type text/plain; access_log off;\n"
        "  keepalive_requests 1000000000; keepalive_timeout 300; client_max_body_size 0;\n"
        f"{temporary}{body}\n}}\n"
    )
    return file


def start_upstream(group: Servers, folder: Path, *, workers: int = 1, core: int | None = 1) -> int:
    """Start a static upstream: nginx where present, else Node, which has one process. core: the processor that it is pinned to.

    `/small` answers 100 bytes, `/big` 10 KB, `/varied` 100 bytes under a head that is never the same.
    """
    port = free_port()
    small, part = "x" * 100, "y" * 4000
    if shutil.which("nginx"):
        body = (
            f"  server {{ listen 127.0.0.1:{port} backlog=4096;\n"
            f'    location = /small {{ return 200 "{small}"; }}\n'
            f'    location = /varied {{ add_header ETag $request_id; return 200 "{small}"; }}\n'
            f'    location = /big {{ set $a "{part}"; set $b "{part[:2240]}"; return 200 "$a$a$b"; }} }}'
        )
        configuration = nginx_configuration(folder / "upstream", body, workers)
        group.start(["nginx", "-p", str(configuration.parent), "-c", str(configuration)], core=core)
    elif node := shutil.which("node"):
        program = (
            "const x='x'.repeat(100),b={'/small':x,'/varied':x,'/big':'y'.repeat(10240)};let n=0;"
            "require('http').createServer((q,s)=>{const p=q.url.split('?')[0],d=b[p]||'';if(p==='/varied')s.setHeader('ETag',String(n++));"
            f"s.setHeader('Content-Length',d.length);s.end(d)}}).listen({port},'127.0.0.1')"
        )
        group.start([node, "-e", program], core=core)
    else:
        raise RuntimeError("neither nginx nor node is here to play the upstream: install nginx (Debian: nginx-light)")
    if not wait_for_port(port):
        raise RuntimeError("the upstream did not start; see servers.log")
    return port


def start_nginx(group: Servers, folder: Path, upstream: int, *, workers: int = 1, core: int | None = 0) -> Candidate:
    port = free_port()
    body = (
        f"  upstream up {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}\n"
        f"  server {{ listen 127.0.0.1:{port} backlog=4096;\n"
        f"    location {PREFIX}/ {{ proxy_http_version 1.1; proxy_set_header Connection '';\n"
        "      proxy_set_header X-Forwarded-For $remote_addr; proxy_pass http://up/; } }"
    )
    configuration = nginx_configuration(folder / "nginx", body, workers)
    process = group.start(["nginx", "-p", str(configuration.parent), "-c", str(configuration)], core=core)
    return Candidate("nginx", port, process)


def _post(port: int, path: str, value: object) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", path, json.dumps(value), {"Content-Type": "application/json"})
    answer: dict[str, str] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def start_express_gateway(group: Servers, folder: Path, upstream: int, *, keyed: bool) -> Candidate:
    """Start Express Gateway, proxy only or with its key-auth policy (its emulated store, one consumer)."""
    port, admin = free_port(), free_port()
    home = folder / ("express-gateway-key" if keyed else "express-gateway")
    source = PEERS / "node_modules/express-gateway/lib/config"
    (home / "models").mkdir(parents=True, exist_ok=True)
    for model in (source / "models").iterdir():
        shutil.copy(model, home / "models")
    shutil.copy(source / "system.config.yml", home)
    policies = ["key-auth", "proxy"] if keyed else ["proxy"]
    (home / "gateway.config.yml").write_text(
        f"http:\n  port: {port}\n  hostname: 127.0.0.1\n"
        f"admin:\n  port: {admin}\n  host: 127.0.0.1\n"
        f"apiEndpoints:\n  bench:\n    host: '*'\n    paths: '{PREFIX}/*'\n"
        f"serviceEndpoints:\n  upstream:\n    url: 'http://127.0.0.1:{upstream}'\n"
        f"policies: [{', '.join(policies)}]\n"
        "pipelines:\n  main:\n    apiEndpoints: [bench]\n    policies:\n"
        + ("      - key-auth:\n" if keyed else "")
        + "      - proxy:\n          - action: {serviceEndpoint: upstream, changeOrigin: true, stripPath: true}\n"
    )
    process = group.start(
        [shutil.which("node") or "node", str(PEERS / "express_gateway.js")],
        env={"EG_CONFIG_DIR": str(home), "LOG_LEVEL": "error", "NODE_ENV": "production"},
        core=0,
        cwd=PEERS,
    )
    headers = {}
    if keyed:
        if not wait_for_port(admin):
            raise RuntimeError("Express Gateway's admin port did not open")
        name = "bench" + secrets.token_hex(4)
        _post(admin, "/users", {"username": name, "firstname": "a", "lastname": "b"})
        key = _post(admin, "/credentials", {"consumerId": name, "type": "key-auth", "credential": {}})
        headers["Authorization"] = f"apiKey {key['keyId']}:{key['keySecret']}"
    return Candidate("Express Gateway, key-auth" if keyed else "Express Gateway", port, process, headers)


def start_fastify(group: Servers, folder: Path, upstream: int) -> Candidate:
    port = free_port()
    process = group.start(
        [shutil.which("node") or "node", str(PEERS / "fastify_proxy.js")],
        env={"PORT": str(port), "UPSTREAM": f"http://127.0.0.1:{upstream}", "NODE_ENV": "production"},
        core=0,
        cwd=PEERS,
    )
    return Candidate("@fastify/http-proxy", port, process)


Starter = Callable[[Servers, Path, int], Candidate]


def present() -> dict[str, Starter]:
    """List the peers that this machine has, by name, with what starts each."""
    found: dict[str, Starter] = {}
    if shutil.which("nginx"):
        found["nginx"] = start_nginx
    if shutil.which("node") and (PEERS / "node_modules/express-gateway").is_dir():
        found["Express Gateway"] = lambda g, f, u: start_express_gateway(g, f, u, keyed=False)
        found["Express Gateway, key-auth"] = lambda g, f, u: start_express_gateway(g, f, u, keyed=True)
    if shutil.which("node") and (PEERS / "node_modules/@fastify/http-proxy").is_dir():
        found["@fastify/http-proxy"] = start_fastify
    return found
