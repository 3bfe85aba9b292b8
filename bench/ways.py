"""Measure what each way of authentication costs a request: `./dev bench ways`.

One definition with every rule on, once for each way: a key, a user with a password, an HMAC signature, an OAuth2 access token, a JSON Web
Token; one worker on one core, the load generator and the upstream on the other. Under two loads: the same request again and again, and
requests of which no two are alike. The runs of a round follow each other, and ratios are taken to the key's run of the same round. CPU per
request is read from the process. Every answer must be the upstream's; the first one, which checks the password or the token, is not
measured. A signature holds for the whole run, because its API takes old ones; it covers the target only where that stays the same.
"""

from __future__ import annotations

import argparse
import base64
import email.utils
import hmac
import json
import secrets
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path
from typing import Any

import jwt

from bench.gateway import definition, probe
from bench.measure import gatehouse, load, peers, report
from bench.measure.peers import Candidate
from bench.measure.processes import cpu_seconds, servers

WAYS = ("key", "basic", "hmac", "oauth", "jwt")
ALIKE, VARIED = "all alike", "no two alike"
PATHS = {ALIKE: "/small", VARIED: "/varied"}
MOST = 1.15
_DIGESTS = 100_000


def definition_of(way: str, upstream: int, secret: str) -> dict[str, Any]:
    """Write the keyed definition of `./dev bench gateway` for one way. A signature holds for the whole measurement.

    secret: that tokens are signed with.
    """
    one: dict[str, Any] = {**definition(upstream, keyed=True), "name": way, "api_id": way}
    one["proxy"] = {**one["proxy"], "listen_path": f"{peers.PREFIX}-{way}/"}
    standard = {"auth": {"auth_header_name": "authorization"}}
    ways: dict[str, dict[str, Any]] = {
        "basic": {"use_basic_auth": True},
        "hmac": {"enable_signature_checking": True, "hmac_allowed_clock_skew": 24 * 3_600_000},
        "oauth": {**standard, "use_oauth2": True, "oauth_meta": {"allowed_access_types": ["client_credentials"]}},
        "jwt": {
            **standard,
            "enable_jwt": True,
            "jwt_signing_method": "hmac",
            "jwt_source": base64.b64encode(secret.encode()).decode(),
            "jwt_default_policies": ["bench-jwt"],
        },
    }
    return {**one, **ways.get(way, {})}


def session(way: str) -> dict[str, Any]:
    """A key whose limits are counted and never reached."""
    limits = {"rate": 1_000_000_000, "per": 60, "quota_max": 1_000_000_000, "quota_renewal_rate": 3600, "org_id": "default"}
    return {**limits, "access_rights": {way: {"api_id": way, "versions": ["Default"]}}}


def signed_text(port: int, date: str, names: str) -> str:
    lines = {"(request-target)": f"get {peers.PREFIX}-hmac{PATHS[ALIKE]}", "host": f"127.0.0.1:{port}", "date": date}
    return "\n".join(f"{name}: {lines[name]}" for name in names.split())


def signature(key: dict[str, Any], port: int, names: str) -> dict[str, str]:
    """Sign a request once. names: what is signed."""
    date = email.utils.formatdate(usegmt=True)
    made = hmac.digest(key["data"]["hmac_string"].encode(), signed_text(port, date, names).encode(), "sha256")
    parts = {"keyId": key["key_id"], "algorithm": "hmac-sha256", "headers": names, "signature": base64.b64encode(made).decode()}
    return {"Date": date, "Authorization": "Signature " + ",".join(f'{name}="{value}"' for name, value in parts.items())}


def access_token(one: gatehouse.Gatehouse) -> str:
    """Create a client of the OAuth2 API, and get it a token."""
    one.ask("POST", "/tyk/policies", {"id": "bench-oauth", **session("oauth")})
    client = one.ask("POST", "/api/apis/oauth/oauth", {"redirect_uri": "https://app.example/back", "policy_id": "bench-oauth"})
    asked = urllib.request.Request(f"http://127.0.0.1:{one.port}{peers.PREFIX}-oauth/oauth/token/", b"grant_type=client_credentials")
    asked.add_header("Authorization", "Basic " + base64.b64encode(f"{client['client_id']}:{client['secret']}".encode()).decode())
    with urllib.request.urlopen(asked, timeout=30) as answer:
        token: str = json.load(answer)["access_token"]
    return token


def candidates(one: gatehouse.Gatehouse, upstream: int) -> dict[tuple[str, str], Candidate]:
    """Save the definitions and create what opens each, by way and load."""
    secret = secrets.token_hex(16)
    for way in WAYS:
        one.ask("POST", "/api/apis", {"api_definition": definition_of(way, upstream, secret), "hook_references": []})
    one.ask("POST", "/tyk/policies", {"id": "bench-jwt", **session("jwt")})
    password = "correct horse battery staple"
    one.ask("POST", "/api/apis/keys/basic/user", {**session("basic"), "basic_auth_data": {"password": password}})
    signing = one.ask("POST", "/api/keys", {**session("hmac"), "hmac_enabled": True})
    token = jwt.encode({"sub": "bench", "exp": int(time.time()) + 24 * 3600}, secret, algorithm="HS256")
    headers = {
        "key": {"X-API-Key": one.ask("POST", "/api/keys", session("key"))["key_id"]},
        "basic": {"Authorization": "Basic " + base64.b64encode(f"user:{password}".encode()).decode()},
        "hmac": signature(signing, one.port, "(request-target) host date"),
        "oauth": {"Authorization": f"Bearer {access_token(one)}"},
        "jwt": {"Authorization": f"Bearer {token}"},
    }
    found = {(way, kind): Candidate(way, one.port, one.process, headers[way], f"{peers.PREFIX}-{way}") for way in WAYS for kind in PATHS}
    varied = signature(signing, one.port, "host date")
    found["hmac", VARIED] = Candidate("hmac", one.port, one.process, varied, f"{peers.PREFIX}-hmac")
    return found


def digest_us(port: int) -> float:
    """Measure what the digest of the signed text costs alone, in microseconds."""
    text, secret = signed_text(port, email.utils.formatdate(usegmt=True), "(request-target) host date").encode(), b"s" * 44
    began = time.process_time()
    for _ in range(_DIGESTS):
        hmac.digest(secret, text, "sha256")
    return (time.process_time() - began) / _DIGESTS * 1e6


def one_run(candidate: Candidate, kind: str, seconds: int) -> dict[str, float]:
    before = cpu_seconds(candidate.process)
    url = f"http://127.0.0.1:{candidate.port}{candidate.path}{PATHS[kind]}"
    seen = load.run(url, connections=32, seconds=seconds, headers=candidate.headers, varied=kind == VARIED)
    spent = sum(cpu_seconds(candidate.process)) - sum(before)
    if seen.failed or not seen.requests:
        raise RuntimeError(f"{candidate.name}: {seen.failed} of {seen.requests} answers were not the upstream's")
    return {"cpu_us": spent / seen.requests * 1e6, "per_second": seen.per_second, "p99_ms": seen.p99_ms}


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev bench ways", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="length of one run")
    arguments = parser.parse_args()
    if load.generator() != "wrk":
        print("bench: only wrk can make every head another; install wrk (Debian)", file=sys.stderr)
        return 2
    runs: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as scratch, servers(Path(scratch) / "servers.log") as group:
        upstream = peers.start_upstream(group, Path(scratch))
        one = gatehouse.start(group, Path(scratch) / "gatehouse", core=0)
        chosen = candidates(one, upstream)
        for (way, kind), candidate in chosen.items():
            if way != "hmac" or kind == ALIKE:
                probe(candidate)
            one_run(candidate, kind, 1)
        for number in range(arguments.rounds):
            for kind in PATHS:
                order = WAYS if number % 2 == 0 else WAYS[::-1]
                seen = {way: one_run(chosen[way, kind], kind, arguments.seconds) for way in order}
                for way, figures in seen.items():
                    runs[kind, way].append({**figures, "ratio": figures["cpu_us"] / seen["key"]["cpu_us"]})
        digest = digest_us(one.port)
    print(f"{report.machine()}; {arguments.rounds} rounds of {arguments.seconds} s; the digest of a signature alone: {digest:.1f} us\n")
    print("| requests | way | requests/s | p99 ms | CPU us a request | × key |\n| --- | --- | --- | --- | --- | --- |")
    middle = {name: {field: report.median([run[field] for run in of]) for field in of[0]} for name, of in runs.items()}
    for (kind, way), row in sorted(middle.items(), key=lambda item: item[0][0]):
        print(f"| {kind} | {way} | {row['per_second']:.0f} | {row['p99_ms']:.1f} | {row['cpu_us']:.1f} | {row['ratio']:.2f} |")
    for (kind, way), row in middle.items():
        most = MOST + (digest / middle[kind, "key"]["cpu_us"] if way == "hmac" else 0)
        if way != "key":
            print(f"{'kept  ' if row['ratio'] <= most else 'MISSED'} {way}, {kind}: at most {most:.2f} × the key's CPU: {row['ratio']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
