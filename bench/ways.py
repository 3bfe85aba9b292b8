"""Measure what each way of authentication costs a request: `./dev bench ways`.

One definition with every rule on, three times: for a key, for a user with a password, for an HMAC signature; one worker on one core, the
load generator and the upstream on the other. The runs of a round follow each other, and ratios are taken to the key's run of the same
round. CPU per request is read from the process. Every answer must be the upstream's; the first one, which checks the password, is not
measured. A signature holds for the whole run, because its API takes old ones.
"""

from __future__ import annotations

import argparse
import base64
import email.utils
import hmac
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.gateway import definition, probe
from bench.measure import gatehouse, load, peers, report
from bench.measure.peers import Candidate
from bench.measure.processes import cpu_seconds, servers

WAYS = ("key", "basic", "hmac")
MOST = 1.15
_SIGNED = "(request-target) host date"
_DIGESTS = 100_000


def definition_of(way: str, upstream: int) -> dict[str, Any]:
    """Write the keyed definition of `./dev bench gateway` for one way. A signature holds for the whole measurement."""
    one: dict[str, Any] = {**definition(upstream, keyed=True), "name": way, "api_id": way}
    one["proxy"] = {**one["proxy"], "listen_path": f"{peers.PREFIX}-{way}/"}
    ways: dict[str, dict[str, Any]] = {
        "basic": {"use_basic_auth": True},
        "hmac": {"enable_signature_checking": True, "hmac_allowed_clock_skew": 24 * 3_600_000},
    }
    return {**one, **ways.get(way, {})}


def session(way: str) -> dict[str, Any]:
    """A key whose limits are counted and never reached."""
    limits = {"rate": 1_000_000_000, "per": 60, "quota_max": 1_000_000_000, "quota_renewal_rate": 3600, "org_id": "default"}
    return {**limits, "access_rights": {way: {"api_id": way, "versions": ["Default"]}}}


def signed_text(port: int, date: str) -> str:
    return f"(request-target): get {peers.PREFIX}-hmac/small\nhost: 127.0.0.1:{port}\ndate: {date}"


def candidates(one: gatehouse.Gatehouse, upstream: int) -> dict[str, Candidate]:
    """Save the definitions and create a key for each."""
    headers: dict[str, dict[str, str]] = {}
    for way in WAYS:
        one.ask("POST", "/api/apis", {"api_definition": definition_of(way, upstream), "hook_references": []})
    headers["key"] = {"X-API-Key": one.ask("POST", "/api/keys", session("key"))["key_id"]}
    password = "correct horse battery staple"
    one.ask("POST", "/api/apis/keys/basic/user", {**session("basic"), "basic_auth_data": {"password": password}})
    headers["basic"] = {"Authorization": "Basic " + base64.b64encode(f"user:{password}".encode()).decode()}
    key = one.ask("POST", "/api/keys", {**session("hmac"), "hmac_enabled": True})
    date = email.utils.formatdate(usegmt=True)
    made = hmac.digest(key["data"]["hmac_string"].encode(), signed_text(one.port, date).encode(), "sha256")
    parts = {"keyId": key["key_id"], "algorithm": "hmac-sha256", "headers": _SIGNED, "signature": base64.b64encode(made).decode()}
    headers["hmac"] = {"Date": date, "Authorization": "Signature " + ",".join(f'{name}="{value}"' for name, value in parts.items())}
    return {way: Candidate(way, one.port, one.process, headers[way], f"{peers.PREFIX}-{way}") for way in WAYS}


def digest_us(port: int) -> float:
    """Measure what the digest of the signed text costs alone, in microseconds."""
    text, secret = signed_text(port, email.utils.formatdate(usegmt=True)).encode(), b"s" * 44
    began = time.process_time()
    for _ in range(_DIGESTS):
        hmac.digest(secret, text, "sha256")
    return (time.process_time() - began) / _DIGESTS * 1e6


def one_run(candidate: Candidate, seconds: int) -> dict[str, float]:
    before = cpu_seconds(candidate.process)
    url = f"http://127.0.0.1:{candidate.port}{candidate.path}/small"
    seen = load.run(url, connections=32, seconds=seconds, headers=candidate.headers)
    spent = sum(cpu_seconds(candidate.process)) - sum(before)
    if seen.failed:
        raise RuntimeError(f"{candidate.name}: {seen.failed} of {seen.requests} answers were not the upstream's")
    return {"cpu_us": spent / max(1, seen.requests) * 1e6, "per_second": seen.per_second, "p99_ms": seen.p99_ms}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench ways", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=4, help="length of one run")
    arguments = parser.parse_args()
    if load.generator() is None:
        print("bench: no load generator here; install wrk (Debian) or run `npm install autocannon` in bench/peers", file=sys.stderr)
        return 2
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as scratch, servers(Path(scratch) / "servers.log") as group:
        upstream = peers.start_upstream(group, Path(scratch))
        one = gatehouse.start(group, Path(scratch) / "gatehouse", core=0)
        chosen = candidates(one, upstream)
        for candidate in chosen.values():
            probe(candidate)
            one_run(candidate, 1)
        for number in range(arguments.rounds):
            order = WAYS if number % 2 == 0 else WAYS[::-1]
            seen = {way: one_run(chosen[way], arguments.seconds) for way in order}
            for way, figures in seen.items():
                runs[way].append({**figures, "ratio": figures["cpu_us"] / seen["key"]["cpu_us"]})
        digest = digest_us(one.port)
    print(f"{report.machine()}; {arguments.rounds} rounds of {arguments.seconds} s; the digest of a signature alone: {digest:.1f} us\n")
    print("| way | requests/s | p99 ms | CPU us a request | × key |\n| --- | --- | --- | --- | --- |")
    middle = {way: {name: report.median([run[name] for run in of]) for name in of[0]} for way, of in runs.items()}
    for way, row in middle.items():
        print(f"| {way} | {row['per_second']:.0f} | {row['p99_ms']:.1f} | {row['cpu_us']:.1f} | {row['ratio']:.2f} |")
    goals = {"basic": MOST, "hmac": MOST + digest / middle["key"]["cpu_us"]}
    for way, most in goals.items():
        ratio = middle[way]["ratio"]
        print(f"{'kept  ' if ratio <= most else 'MISSED'} {way}: at most {most:.2f} × the key's CPU: {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
