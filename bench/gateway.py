"""Measure the gateway beside its peers in one run, interleaved: `./dev bench gateway`.

One process of each, pinned to one core, the load generator and the upstream on the other. Before every candidate of a round nginx is
measured under the same load, and ratios are taken to that run, so that a machine whose speed drifts does not decide. CPU per request is
read from the processes (user + system). Absolute figures hold for this machine only; quote the ratios.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.measure import gatehouse, load, peers, report
from bench.measure.peers import Candidate
from bench.measure.processes import PINNED, Servers, cpu_seconds, memory_mb, servers, wait_for_port
from bench.measure.valkey import Valkey
from services.gateway import machine_code

ROOT = Path(__file__).parents[1]
KEYED, IN_VALKEY, INTERPRETED = "Gatehouse, keyed, all rules", "Gatehouse, keyed, Valkey", ", interpreted"
# What a candidate is compared with in each round, beside nginx.
BESIDE = {f"{IN_VALKEY}{mode}": f"{KEYED}{mode}" for mode in ("", INTERPRETED)}
KEYLESS = "Gatehouse, keyless"
WARM_UP_SECONDS = 3  # V8 compiles the hot paths of the Node peers only after some seconds; cold figures would flatter us
SMALL, BIG = "100 bytes, 32 connections", "10 KB, 128 connections"
VARIED = f"{SMALL}, no two heads alike"
LOADS = {SMALL: ("/small", 32), VARIED: ("/varied", 32), BIG: ("/big", 128)}
# Goals for a quiet machine: CPU a request as a multiple of nginx's in the same round.
MOST_CPU = {
    (KEYED, SMALL): 1.45,
    (KEYED, VARIED): 1.65,
    (KEYED, BIG): 1.2,
    (KEYLESS, SMALL): 1.25,
    (KEYLESS, VARIED): 1.4,
    (f"{KEYED}{INTERPRETED}", SMALL): 1.7,
    (f"{KEYED}{INTERPRETED}", VARIED): 2.1,
}


def _action() -> dict[str, object]:
    return {"action": "no_action", "code": 200, "data": "", "headers": {}}


def definition(upstream: int, *, keyed: bool) -> dict[str, Any]:
    """Write a definition with every rule of its kind switched on; `keyed` adds the key, its rights, its rate limit and its quota."""
    paths: dict[str, object] = {"ignored": [], "white_list": [], "black_list": []}
    extra: dict[str, object] = {}
    if keyed:
        paths = {
            "ignored": [{"path": "^/public/{name}$", "method_actions": {"GET": _action()}}],
            "black_list": [{"path": "^/admin", "method_actions": {"GET": _action(), "POST": _action()}}],
            "white_list": [{"path": "^/(small|varied|big)$", "method_actions": {"GET": _action()}}],
        }
        webhook = {
            "name": "bench",
            "method": "POST",
            "target_path": "http://127.0.0.1:9/",
            "template_path": "",
            "header_map": {},
            "event_timeout": 60,
        }
        extra = {
            "enable_ip_whitelisting": True,
            "allowed_ips": ["127.0.0.0/8", "10.0.0.0/8", "::1"],
            "enable_ip_blacklisting": True,
            "blacklisted_ips": ["203.0.113.0/24"],
            "global_rate_limit": {"rate": 1_000_000_000, "per": 60},
            "event_handlers": {"events": {"QuotaExceeded": [{"handler_name": "eh_web_hook_handler", "handler_meta": webhook}]}},
        }
    return {
        "name": "bench keyed" if keyed else "bench keyless",
        "api_id": "bench-keyed" if keyed else "bench-keyless",
        "org_id": "default",
        "active": True,
        "use_keyless": not keyed,
        "auth": {"auth_header_name": "X-API-Key"},
        "definition": {"location": "header", "key": ""},
        "version_data": {
            "not_versioned": True,
            "versions": {
                "Default": {
                    "name": "Default",
                    "expires": "2099-01-01 00:00" if keyed else "",
                    "use_extended_paths": True,
                    "extended_paths": paths,
                }
            },
        },
        "proxy": {
            "listen_path": f"{peers.PREFIX}-{'keyed' if keyed else 'keyless'}/",
            "target_url": f"http://127.0.0.1:{upstream}/",
            "strip_listen_path": True,
        },
        **extra,
    }


def common_definition(upstream: int) -> dict[str, Any]:
    """Write the keyed definition with the rules that real definitions use most besides: all of them work on each request."""

    def entry(**more: object) -> dict[str, object]:
        return {"path": "^/(small|varied|big)$", "method": "GET", **more}

    made: dict[str, Any] = definition(upstream, keyed=True)
    made |= {
        "name": "bench common",
        "api_id": "bench-common",
        "CORS": {"enable": True, "allowed_origins": ["https://app.example"]},
        "response_processors": [{"name": "header_injector", "options": {"add_headers": {"X-Injected": "1"}, "remove_headers": ["X-Gone"]}}],
    }
    made["proxy"]["listen_path"] = f"{peers.PREFIX}-common/"
    version = made["version_data"]["versions"]["Default"]
    version |= {
        "global_headers": {"X-Api": "bench", "X-Path": "$tyk_context.path"},
        "global_headers_remove": ["X-Secret"],
        "global_response_headers": {"X-Served-By": "gatehouse"},
        "global_response_headers_remove": ["Server"],
        "global_size_limit": 1_000_000,
    }
    version["extended_paths"] |= {
        "transform_headers": [entry(add_headers={"X-Added": "1"}, delete_headers=["X-Dropped"])],
        "transform_response_headers": [entry(add_headers={"X-Answered": "1"}, delete_headers=["X-Powered-By"])],
        "url_rewrites": [entry(match_pattern="^/(small|varied|big)$", rewrite_to="/$1")],
        "hard_timeouts": [entry(timeout=10)],
        "size_limits": [{"path": "^/upload", "method": "POST", "size_limit": 1_000_000}],
        "track_endpoints": [entry()],
        "circuit_breakers": [entry(threshold_percent=0.5, samples=10, return_to_service_after=10)],
        "rate_limit": [entry(rate=1_000_000_000, per=60)],
    }
    return made


def create_key(port: int, key: str, *api_ids: str) -> str:
    """Create a key and return its secret: for `bench-keyed` and these, with limits that are counted and never reached."""
    session = {
        "rate": 1_000_000_000,
        "per": 60,
        "expires": 0,
        "quota_max": 1_000_000_000,
        "quota_renewal_rate": 3600,
        "access_rights": {id: {"api_name": id, "api_id": id, "versions": ["Default"]} for id in ("bench-keyed", *api_ids)},
        "org_id": "default",
    }
    secret: str = gatehouse.ask_operator(port, key, "POST", "/api/keys", session)["key_id"]
    return secret


def start_gatehouse(group: Servers, folder: Path, upstream: int, *, compiled: bool) -> list[Candidate]:
    """Start one worker on SQLite with counters in process, and one that counts in a Valkey; return keyed and keyless candidates.

    Valkey runs beside the load generator and the upstream.
    """
    mode = "" if compiled else INTERPRETED
    more = {"GATEWAY_COMPILED": "1" if compiled else "0"}
    folder = folder / ("compiled" if compiled else "interpreted")
    folder.mkdir()
    one = gatehouse.start(group, folder / "gatehouse", core=0, more=more)
    valkey = Valkey(group, folder / "valkey", core=1)
    sharing = gatehouse.start(group, folder / "sharing", core=0, valkey_url=valkey.url, more=more)
    for made in (definition(upstream, keyed=True), definition(upstream, keyed=False), common_definition(upstream)):
        one.ask("POST", "/api/apis", {"api_definition": made, "hook_references": []})
    sharing.ask("POST", "/api/apis", {"api_definition": definition(upstream, keyed=True), "hook_references": []})
    secret = create_key(one.operator_port, one.operator_key, "bench-common")
    shared_secret = create_key(sharing.operator_port, sharing.operator_key)
    return [
        Candidate(f"{KEYED}{mode}", one.port, one.process, {"X-API-Key": secret}, f"{peers.PREFIX}-keyed"),
        Candidate(f"{IN_VALKEY}{mode}", sharing.port, sharing.process, {"X-API-Key": shared_secret}, f"{peers.PREFIX}-keyed"),
        Candidate(f"Gatehouse, keyed, common rules, too{mode}", one.port, one.process, {"X-API-Key": secret}, f"{peers.PREFIX}-common"),
        Candidate(f"{KEYLESS}{mode}", one.port, one.process, {}, f"{peers.PREFIX}-keyless"),
    ]


def probe(candidate: Candidate, path: str = "/small", size: int = 100) -> None:
    """Raise RuntimeError unless the candidate answers 200 with as many bytes as the upstream has there."""
    connection = http.client.HTTPConnection("127.0.0.1", candidate.port, timeout=5)
    connection.request("GET", f"{candidate.path}{path}", headers=candidate.headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if (answer.status, len(body)) != (200, size):
        said = f"{answer.status} with {len(body)} bytes instead of 200 with {size}"
        raise RuntimeError(f"{candidate.name} answered {path} with {said}: {body[:200]!r}")


def probe_all(candidate: Candidate) -> None:
    """As `probe`, for all paths of the loads."""
    for path, size in (("/small", 100), ("/varied", 100), ("/big", 10_240)):
        probe(candidate, path, size)


def measure(candidates: list[Candidate], *, rounds: int, seconds: int, every: int) -> dict[str, dict[str, report.Figure]]:
    """Measure all candidates under all loads, `rounds` times, nginx before every `every`-th candidate."""
    baseline = next((one for one in candidates if one.name == "nginx"), None)
    runs: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)

    def one_run(candidate: Candidate, name: str) -> dict[str, float]:
        path, connections = LOADS[name]
        before = cpu_seconds(candidate.process)
        seen = load.run(
            f"http://127.0.0.1:{candidate.port}{candidate.path}{path}",
            connections=connections,
            seconds=seconds,
            headers=candidate.headers,
            varied=name == VARIED,
        )
        after = cpu_seconds(candidate.process)
        count = max(1, seen.requests)
        figures = {
            "per_second": seen.per_second,
            "p50_ms": seen.p50_ms,
            "p99_ms": seen.p99_ms,
            "failed": float(seen.failed),
            "user_us": (after[0] - before[0]) / count * 1e6,
            "cpu_us": (after[0] - before[0] + after[1] - before[1]) / count * 1e6,
        }
        runs[candidate.name, name].append(figures)
        return figures

    for candidate in candidates:
        for path, connections in LOADS.values():
            url = f"http://127.0.0.1:{candidate.port}{candidate.path}{path}"
            load.run(url, connections=connections, seconds=WARM_UP_SECONDS, headers=candidate.headers)
    print(f"all {len(candidates)} candidates are warm", file=sys.stderr, flush=True)
    for number in range(rounds):
        for name in LOADS:
            nginx = None
            of_round: dict[str, dict[str, float]] = {}
            for place, candidate in enumerate(one for one in candidates if one is not baseline):
                if baseline and place % every == 0:
                    nginx = one_run(baseline, name)
                figures = of_round[candidate.name] = one_run(candidate, name)
                beside = of_round.get(BESIDE.get(candidate.name, ""))
                if beside:
                    figures["beside_cpu"] = figures["cpu_us"] / beside["cpu_us"] if beside["cpu_us"] else 0.0
                    figures["beside_p99"] = figures["p99_ms"] / beside["p99_ms"] if beside["p99_ms"] else 0.0
                if nginx:
                    figures["rate_ratio"] = figures["per_second"] / nginx["per_second"]
                    figures["cpu_ratio"] = figures["cpu_us"] / nginx["cpu_us"] if nginx["cpu_us"] else 0.0
            print(f"round {number + 1} of {rounds}: {name} done", file=sys.stderr, flush=True)

    rows: dict[str, dict[str, report.Figure]] = {}
    for candidate in candidates:
        rows[candidate.name] = {}
        for name in LOADS:
            seen_runs = runs[candidate.name, name]

            def middle(field: str, of: list[dict[str, float]] = seen_runs) -> float | None:
                values = [run[field] for run in of if field in run]
                return report.median(values) if values else None

            beside_cpu, beside_p99 = middle("beside_cpu"), middle("beside_p99")
            rows[candidate.name][name] = report.Figure(
                per_second=middle("per_second") or 0.0,
                p50_ms=middle("p50_ms") or 0.0,
                p99_ms=middle("p99_ms") or 0.0,
                cpu_us=middle("cpu_us") or 0.0,
                user_us=middle("user_us") or 0.0,
                failed=int(sum(run["failed"] for run in seen_runs)),
                rate_ratio=1.0 if candidate is baseline else middle("rate_ratio"),
                cpu_ratio=1.0 if candidate is baseline else middle("cpu_ratio"),
                beside=None if beside_cpu is None or beside_p99 is None else (beside_cpu, beside_p99),
            )
    return rows


def verdicts(rows: dict[str, dict[str, report.Figure]]) -> list[tuple[str, bool]]:
    """List the promises of docs/performance.md, each with whether this run kept it."""
    mode = "" if KEYED in rows else INTERPRETED
    failed = sum(figure.failed for name, figures in rows.items() if name.startswith("Gatehouse") for figure in figures.values())
    kept = [(f"every answer of Gatehouse was a 200: {failed} were not, or did not come", failed == 0)]
    ours = rows[f"{KEYED}{mode}"][SMALL] if f"{KEYED}{mode}" in rows else None
    if ours is not None:
        kept.append((f"p99 under 10 ms at 32 connections: {ours.p99_ms:.1f} ms", ours.p99_ms < 10))
    sharing = rows[f"{IN_VALKEY}{mode}"][SMALL] if f"{IN_VALKEY}{mode}" in rows else None
    if sharing is not None and sharing.beside is not None:
        cpu, p99 = sharing.beside
        kept.append((f"counted in Valkey, at most 1.15 × the CPU of counting in process: {cpu:.2f}", cpu <= 1.15))
        said = f"counted in Valkey, p99 under 5 ms at 32 connections: {sharing.p99_ms:.1f} ms, {p99:.2f} × that of counting in process"
        kept.append((said, sharing.p99_ms < 5))
    for (name, load_name), most in MOST_CPU.items():
        figure = rows.get(name, {}).get(load_name)
        if figure is not None and figure.cpu_ratio is not None:
            said = f"{name}; {load_name}: at most {most} × nginx's CPU a request: {figure.cpu_ratio:.2f}"
            kept.append((said, figure.cpu_ratio <= most))
    if ours is not None and "Express Gateway, key-auth" in rows:
        times = ours.per_second / max(1.0, rows["Express Gateway, key-auth"][SMALL].per_second)
        kept.append((f"at least 6 × Express Gateway with key-auth: {times:.1f} ×", times >= 6))
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench gateway", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="length of one run")
    parser.add_argument("--every", type=int, default=2, help="candidates between two runs of nginx")
    parser.add_argument("--only", default="", help="comma-separated beginnings of names")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plot", type=Path, default=ROOT / "var/bench/gateway.png")
    arguments = parser.parse_args()
    if load.generator() is None:
        print("bench: no load generator here; install wrk (Debian) or run `npm install autocannon` in bench/peers", file=sys.stderr)
        return 2
    if load.generator() != "wrk":
        print("bench: only wrk can make every head another; that load is left out", file=sys.stderr)
        del LOADS[VARIED]
    wanted = [name for name in arguments.only.split(",") if name]
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as scratch, servers(Path(scratch) / "servers.log") as group:
        folder = Path(scratch)
        upstream = peers.start_upstream(group, folder)
        candidates: list[Candidate] = []
        for name, start in peers.present().items():
            if not wanted or name == "nginx" or any(name.startswith(one) for one in wanted):
                candidates.append(start(group, folder, upstream))
        modes = (True, False) if machine_code.chosen({}).compiled else (False,)
        started = [one for compiled in modes for one in start_gatehouse(group, folder, upstream, compiled=compiled)]
        candidates += [one for one in started if not wanted or any(one.name.startswith(w) for w in wanted)]
        for candidate in candidates:
            if not wait_for_port(candidate.port):
                raise RuntimeError(f"{candidate.name} did not open its port:\n{(folder / 'servers.log').read_text()[-2000:]}")
            probe_all(candidate)
        if not modes[0]:
            why = machine_code.chosen({}).why or "the data plane is not compiled; ./dev build does that"
            print(f"only interpreted: {why}", file=sys.stderr)
        rows = measure(candidates, rounds=arguments.rounds, seconds=arguments.seconds, every=arguments.every)
        for candidate in candidates:
            probe_all(candidate)
        memory = {candidate.name: memory_mb(candidate.process) for candidate in candidates}
    conditions = {
        "rounds": arguments.rounds,
        "seconds": arguments.seconds,
        "load generator": load.generator(),
        "pinned": PINNED,
        "workers": 1,
    }
    print(f"{report.machine()}; {json.dumps(conditions)}\n")
    print(report.markdown(rows, memory))
    for text, kept in verdicts(rows):
        print(f"{'kept  ' if kept else 'MISSED'} {text}")
    absent = {"nginx", "Express Gateway", "@fastify/http-proxy"} - set(rows)
    if absent and not wanted:
        print(f"not on this machine: {', '.join(sorted(absent))} (nginx: Debian's nginx-light; the others: npm install in bench/peers)")
    if arguments.json:
        report.write_json(arguments.json, rows, memory, conditions)
    arguments.plot.parent.mkdir(parents=True, exist_ok=True)
    if report.plot(arguments.plot, rows):
        print(f"plot: {arguments.plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
