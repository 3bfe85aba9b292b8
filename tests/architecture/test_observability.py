"""Prometheus' rules and Grafana's dashboard, as files: they are valid, and each alert fires when it should and only then."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import ROOT
from tests.support.promql import FOLDER, RULES, dashboard, names_in, panels, rules

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")

ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def run(*arguments: str | Path) -> str:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@promtool
def test_prometheus_reads_its_configuration_and_its_rules() -> None:
    run("check", "config", FOLDER / "prometheus.yml")
    run("check", "rules", *RULES)


def test_the_cluster_is_watched_as_the_containers_are() -> None:
    """Debian's Prometheus is built without Kubernetes, so that promtool cannot read it."""
    cluster, containers = (yaml.safe_load((FOLDER / name).read_text()) for name in ("prometheus.kubernetes.yml", "prometheus.yml"))
    for said in ("rule_files", "alerting"):
        assert cluster[said] == containers[said]
    [job] = cluster["scrape_configs"]
    assert {one["target_label"] for one in job["relabel_configs"] if "target_label" in one} == {"job", "instance"}
    services = {path.parent.name for path in (ROOT / "services").glob("*/wsgi.py")}
    assert {one["job_name"] for one in containers["scrape_configs"]} == services


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip())


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_happened_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    assert anchor in {slug(heading) for heading in headings}


@dataclass(frozen=True)
class Case:
    """series: its samples, one a minute, in promtool's notation. at: when it is asked. fires: the labels of the alerts that fire then,
    without the severity.
    """

    alert: str
    series: Mapping[str, str]
    fires: Sequence[Mapping[str, str]] = ()
    at: str = "20m"
    labels: Mapping[str, str] = field(default_factory=dict)


WHERE = {"job": "gateway", "instance": "g:8081"}
G = 'job="gateway",instance="g:8081"'
ALL_UP = {f'up{{job="{job}",instance="x"}}': "1x60" for job in ("gateway", "auth", "sessions", "tokens", "devices", "mobility")}
API = [{"api": "a"}]


def requests(errors: str, api: str = "a", status: str = "502") -> dict[str, str]:
    """A hundred requests a minute besides those with errors."""
    return {
        f'gateway_requests_total{{{G},api="{api}",status="200"}}': "0+100x400",
        f'gateway_requests_total{{{G},api="{api}",status="{status}"}}': errors,
    }


def refusals(code: str, samples: str) -> dict[str, str]:
    return {f'gateway_refusals_total{{{G},api="a",code="{code}"}}': samples}


def lengths(api: str, quick: int, slow: int) -> dict[str, str]:
    """Requests a minute that take half a millisecond, and five seconds."""
    bucket = f'gateway_request_seconds_bucket{{{G},api="{api}"'
    return {
        f'{bucket},le="0.001"}}': f"0+{quick}x60",
        f'{bucket},le="5.0"}}': f"0+{quick + slow}x60",
        f'{bucket},le="+Inf"}}': f"0+{quick + slow}x60",
        f'gateway_requests_total{{{G},api="{api}",status="200"}}': f"0+{quick + slow}x60",
    }


def lag(late: int) -> dict[str, str]:
    bucket = f"gateway_loop_lag_seconds_bucket{{{G}"
    return {f'{bucket},le="0.001"}}': f"0+{240 - late}x60", f'{bucket},le="0.5"}}': "0+240x60", f'{bucket},le="+Inf"}}': "0+240x60"}


def share(of: str, limit: str, value: int, job: str = "gateway") -> dict[str, str]:
    where = f'job="{job}",instance="g:8081",worker="0"'
    return {f"{of}{{{where}}}": f"{value}x60", f"{limit}{{{where}}}": "100x60"}


def started(samples: str, workers: int = 2) -> dict[str, str]:
    running = {f'process_start_time_seconds{{{G},worker="{number}"}}': "1x60" for number in range(workers)}
    return {f"service_processes_started_total{{{G}}}": samples, **running}


def ready(check: str, samples: str) -> dict[str, str]:
    return {f'service_ready{{{G},check="{check}",worker="0"}}': samples, f'service_ready{{{G},check="{check}",worker="1"}}': "1x60"}


def took(samples: str) -> dict[str, str]:
    return {f'service_check_seconds{{{G},check="database",worker="0"}}': samples}


def gauge(name: str, *values: str) -> dict[str, str]:
    return {f'{name}{{{G},worker="{worker}"}}': samples for worker, samples in enumerate(values)}


def counter(name: str, samples: str, more: str = "") -> dict[str, str]:
    return {f"{name}{{{G}{more}}}": samples}


WORKER = [{**WHERE, "worker": "0"}]
FEW, MANY = "0+1x400", "0+20x400"
UNKNOWN = " ".join(["NaN"] * 40)
CASES = [
    Case("ServiceDown", {**ALL_UP, 'up{job="auth",instance="x"}': "1x10 0x20"}, [{"job": "auth", "instance": "x"}]),
    Case("ServiceDown", {name: value for name, value in ALL_UP.items() if "tokens" not in name}, [{"job": "tokens"}]),
    Case("ServiceDown", ALL_UP),
    Case("ErrorBudgetBurnsFast", requests(FEW.replace("1x", "3x")), [{}], "65m"),
    Case("ErrorBudgetBurnsFast", requests(FEW), at="65m"),
    Case("ErrorBudgetBurnsFast", requests("0+20x50 1000x50"), at="65m"),  # it is over
    Case("ErrorBudgetBurnsFast", requests(MANY, "tokens", "504"), at="65m"),  # the ends of long polls
    Case("ErrorBudgetBurnsFast", {**requests(MANY, status="504"), **refusals("upstream-timeout", MANY)}, [{}], "65m"),
    Case("ErrorBudgetBurnsSlowly", requests(FEW), [{}], "390m"),
    Case("ErrorBudgetBurnsSlowly", requests("0+1x10 10x400"), at="390m"),
    Case("ErrorsOfApi", requests(MANY), API),
    Case("ErrorsOfApi", requests(FEW)),
    Case("ErrorsOfApi", requests(MANY, "tokens", "504")),
    Case("UpstreamFails", {**requests(MANY), **refusals("upstream-unreachable", MANY)}, API),
    Case("UpstreamFails", {**requests(MANY), **refusals("quota-exceeded", MANY)}),
    Case("UpstreamFails", {**requests(FEW), **refusals("upstream-broken", FEW)}),
    Case("KeysUnavailable", refusals("keys-unavailable", FEW), API),
    Case("KeysUnavailable", refusals("keys-unavailable", "3x60")),
    Case("KeysUnavailable", refusals("key-unknown", FEW)),
    Case("DefinitionsBroken", gauge("gateway_apis_broken", "0x60", "2x60"), [{"instance": "g:8081"}]),
    Case("DefinitionsBroken", gauge("gateway_apis_broken", "0x60", "0x60")),
    Case("WorkersDisagree", gauge("gateway_apis", "25x60", "24x60"), [{}]),
    Case("WorkersDisagree", gauge("gateway_apis", "25x19 26x40", "25x20 26x40")),
    Case("WorkersDisagree", {**gauge("gateway_apis", "25x60", "25x60"), **gauge("gateway_live_generation", "7x60", "9x60")}, [{}]),
    Case("WorkersDisagree", gauge("gateway_live_generation", "7x60", "7x60")),
    Case("ApiSlow", lengths("a", 90, 10), API),
    Case("ApiSlow", lengths("a", 1000, 1)),
    Case("ApiSlow", lengths("tokens", 90, 10)),
    Case("ApiSlow", lengths("sessions-host", 90, 10)),
    Case("LoopLate", lag(10), [{"instance": "g:8081"}]),
    Case("LoopLate", lag(1)),
    Case("ConnectionsNearLimit", share("gateway_connections", "gateway_connections_limit", 81), WORKER),
    Case("ConnectionsNearLimit", share("gateway_connections", "gateway_connections_limit", 79)),
    Case("ConnectionsTurnedAway", counter("gateway_connections_turned_away_total", FEW), [WHERE]),
    Case("ConnectionsTurnedAway", counter("gateway_connections_turned_away_total", "7x60")),
    Case(
        "HeldRequestsNearLimit",
        share("service_held_requests", "service_held_requests_limit", 81, "tokens"),
        [{**WORKER[0], "job": "tokens"}],
    ),
    Case("HeldRequestsNearLimit", share("service_held_requests", "service_held_requests_limit", 79)),
    Case("FilesNearLimit", share("process_open_fds", "process_max_fds", 81), WORKER),
    Case("FilesNearLimit", share("process_open_fds", "process_max_fds", 79)),
    Case("WorkersRestart", started("2+1x60"), [WHERE]),
    Case("WorkersRestart", started("2x10 4x50")),  # a reload
    Case("DatabaseAway", ready("database", "1x10 0x50"), [WHERE]),
    Case("DatabaseAway", ready("database", "1x60")),
    Case("DatabaseAway", ready("valkey", "0x60")),
    Case("DatabaseSlow", {**ready("database", "1x60"), **took("1.5x60")}, [WHERE]),
    Case("DatabaseSlow", {**ready("database", "1x60"), **took("0.5x60")}),
    Case("DatabaseSlow", {**ready("database", "0x60"), **took("1.5x60")}),
    Case("DiskNearlyFull", share("service_disk_free_bytes", "service_disk_size_bytes", 9), [WHERE]),
    Case("DiskNearlyFull", share("service_disk_free_bytes", "service_disk_size_bytes", 11)),
    Case("ValkeyAway", ready("valkey", "1x10 0x50"), [WHERE]),
    Case("ValkeyAway", counter("gateway_requests_uncounted_total", FEW), [WHERE]),
    Case("ValkeyAway", {**ready("valkey", "1x60"), **counter("gateway_requests_uncounted_total", "9x60")}),
    Case("NotReady", ready("definitions", "1x10 0x50"), [{**WHERE, "check": "definitions"}]),
    Case("NotReady", {**ready("definitions", "0x60"), **ready("database", "0x60")}),
    Case("NotReady", {**ready("definitions", "1x60"), **ready("database", "1x60")}),
    Case("WebhookCallsDead", counter("webhook_calls_total", "0x15 1x50", ',outcome="given up"'), [WHERE]),
    Case("WebhookCallsDead", counter("webhook_calls_total", "5x60", ',outcome="given up"')),
    Case("WebhookCallsDead", counter("webhook_calls_total", FEW, ',outcome="failed"')),
    Case("OutboxGrows", gauge("webhook_calls_overdue_seconds", "0x5 400x60"), [{"job": "gateway"}]),
    Case("OutboxGrows", gauge("webhook_calls_waiting", "200+1x60"), [{"job": "gateway"}], "30m"),
    Case("OutboxGrows", {**gauge("webhook_calls_waiting", "200-1x60"), **gauge("webhook_calls_overdue_seconds", "9x60")}, at="30m"),
    Case("OutboxGrows", {**gauge("webhook_calls_waiting", UNKNOWN), **gauge("webhook_calls_overdue_seconds", UNKNOWN)}, at="30m"),
    Case("EventsLost", counter("gateway_events_dropped_total", FEW), [WHERE]),
    Case("EventsLost", counter("gateway_events_dropped_total", "4x60")),
    Case("AccessLogLost", counter("gateway_access_log_lines_dropped_total", FEW), [WHERE]),
    Case("AccessLogLost", counter("gateway_access_log_lines_dropped_total", "4x60")),
    Case("AnalyticsLost", counter("gateway_analytics_dropped_total", FEW), [WHERE]),
    Case("AnalyticsLost", counter("gateway_analytics_dropped_total", "4x60")),
    Case("TracesLost", counter("gateway_traces_dropped_total", FEW), [WHERE]),
    Case("TracesLost", counter("gateway_traces_dropped_total", "4x60")),
]


def as_promtool_says_it(case: Case) -> dict[str, Any]:
    severity = ALERTS[case.alert]["labels"]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": samples} for name, samples in case.series.items()],
        "alert_rule_test": [
            {"eval_time": case.at, "alertname": case.alert, "exp_alerts": [{"exp_labels": {**one, **severity}} for one in case.fires]}
        ],
    }


@promtool
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_when_it_should_and_only_then(name: str, tmp_path: Path) -> None:
    cases = [case for case in CASES if case.alert == name]
    assert {bool(case.fires) for case in cases} == {True, False}, "it needs a case for both"
    bare = []
    for file in RULES:
        content = yaml.safe_load(file.read_text())
        for group in content["groups"]:
            for rule in group["rules"]:
                rule.pop("annotations", None)  # which promtool would compare, too
        (tmp_path / file.name).write_text(yaml.safe_dump(content))
        bare.append(file.name)
    tests = {"rule_files": bare, "evaluation_interval": "1m", "tests": [as_promtool_says_it(case) for case in cases]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(tests))
    run("test", "rules", tmp_path / "test.yml")


def test_panels_have_ids_places_and_units_of_their_own() -> None:
    found = dashboard()
    ids = [panel["id"] for panel in found["panels"]]
    assert len(set(ids)) == len(ids)
    taken: dict[tuple[int, int], str] = {}
    for panel in found["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"], f"{panel['title']} covers {taken[cell]}"
    assert [panel["title"] for panel in panels() if not panel["fieldConfig"]["defaults"]["unit"]] == []


def test_the_dashboard_can_be_provisioned() -> None:
    found = dashboard()
    assert found["schemaVersion"] >= 36
    assert found["uid"] == "gatehouse"
    assert "id" not in found, "Grafana gives it one"
    variables = {one["name"] for one in found["templating"]["list"]}
    assert variables == {"datasource", "instance", "api"}
    for panel in panels():
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(set(refs)) == len(refs)
        used = {name for target in panel["targets"] for name in re.findall(r"\$(\w+)", target["expr"])}
        assert used <= variables | {"__rate_interval"}, panel["title"]


def test_names_are_found_in_expressions() -> None:
    found = names_in(
        'sum by (api, le) (rate(a_total{b=~"c{d}",e!="by (x)"}[5m])) / on (api) group_left (f) g:h unless i > 0.5 or vector(0)'
    )
    assert found.metrics == {"a_total": {"b", "e"}, "g:h": set(), "i": set()}
    assert found.labels == {"api", "le", "f"}
