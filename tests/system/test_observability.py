"""The whole house as deploy/observability/ watches it: every metric and label that it names is told, and a real Prometheus has answers."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.gateway import definition
from tests.support.house import house, port_base
from tests.support.promql import FOLDER, asked_by_panels, dashboard, filled_in, names_in, rules
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.alone

SECRET = "a-secret-that-nobody-must-tell"
# What Prometheus itself adds and tells.
OF_TARGETS = {"job", "instance"}
OF_PROMETHEUS = {"up": set[str](), "ALERTS": {"alertname", "alertstate", "severity"}}
LABELS = {"api", "check", "code", "le", "method", "outcome", "route", "state", "status", "worker"}

Told = Mapping[str, set[str]]


class Watched:
    """A running house, and where the metrics of each service are."""

    def __init__(self, public: str, operator: str, key: str, ports: Mapping[str, int]) -> None:
        self.public, self.operator, self.key, self.ports = public, operator, key, ports

    def pages(self) -> dict[str, str]:
        return {name: requests.get(f"http://127.0.0.1:{port}/metrics", timeout=30).text for name, port in self.ports.items()}

    def use(self) -> None:
        """Calls every service, an API whose upstream is away, and what does not exist, with secrets in all places."""
        for path in ("auth/health", "sessions/", "tokens/health", "devices/health", "mobility/health", "example/reply/status", "gone/x"):
            headers = {"Authorization": SECRET}
            requests.get(f"{self.public}/{path}", headers=headers, params={"token": SECRET}, timeout=30)
            requests.get(f"{self.public}/{path}/{SECRET}", headers=headers, timeout=30)
        for port in self.ports.values():
            requests.request(SECRET.upper(), f"http://127.0.0.1:{port}/{SECRET}", headers={"Authorization": SECRET}, timeout=30)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    base = port_base()
    with house(tmp_path_factory.mktemp("watched"), base, "--workers", "2") as started:
        where = started.healthy().where
        assert where is not None
        key = Path(where["operator_key_file"]).read_text().strip()
        services = ("auth", "sessions", "tokens", "devices", "mobility")
        ports = {"gateway": base + 1, **{name: base + 21 + place for place, name in enumerate(services)}}
        found = Watched(f"http://127.0.0.1:{base}", where["operator"], key, ports)
        gone = definition("gone", f"http://127.0.0.1:{free_port()}/")
        added = requests.post(f"{found.operator}/tyk/apis/", json=gone, headers={"x-tyk-authorization": key}, timeout=30)
        assert added.status_code == 200, added.text
        found.use()
        wait_until(lambda: all("service_ready{" in page for page in found.pages().values()), 30, "the first checks")
        yield found


@pytest.fixture(scope="module")
def told(watched: Watched) -> Told:
    """Every sample that any service tells, with its labels."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    for page in watched.pages().values():
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                names[sample.name] |= set(sample.labels)
    return names


def unknown(expression: str, told: Told) -> set[str]:
    """Return the names in an expression that nobody tells. The labels of a recorded rule are in its name, before the colon."""
    recorded = {rule["record"]: set(rule["record"].partition(":")[0].split("_")) & LABELS for rule in rules() if "record" in rule}
    known = {**told, **OF_PROMETHEUS, **recorded}
    names = names_in(expression)
    wrong = set(names.metrics) - set(known)
    of_metrics = {metric: known[metric] | OF_TARGETS for metric in names.metrics if metric in known}
    wrong |= {f"{metric}{{{label}}}" for metric, labels in of_metrics.items() for label in names.metrics[metric] - labels}
    return wrong | (names.labels - set[str]().union(*of_metrics.values()))


def test_every_name_in_a_rule_is_told(told: Told) -> None:
    assert {rule.get("alert") or rule["record"]: wrong for rule in rules() if (wrong := unknown(rule["expr"], told))} == {}


def test_every_label_in_the_words_of_an_alert_is_told(told: Told) -> None:
    labels = set[str]().union(*told.values()) | OF_TARGETS
    words = {rule["alert"]: " ".join(rule["annotations"].values()) for rule in rules() if "alert" in rule}
    assert {name: wrong for name, text in words.items() if (wrong := set(re.findall(r"\$labels\.(\w+)", text)) - labels)} == {}


def test_every_name_on_the_dashboard_is_told(told: Told) -> None:
    found = {title: wrong for title, expression in asked_by_panels() if (wrong := unknown(expression, told))}
    assert found == {}
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
            assert match is not None
            assert unknown(f"sum by ({match[2]}) ({match[1]})", told) == set()


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("rate(gateway_request_total[5m])", {"gateway_request_total"}),
        ('gateway_requests_total{service="x"}', {"gateway_requests_total{service}"}),
        ("sum by (api, customer) (gateway_requests_total)", {"customer"}),
        ("sum by (worker) (api:gateway_requests:rate5m)", {"worker"}),
    ],
)
def test_a_wrong_name_is_found(told: Told, expression: str, wrong: set[str]) -> None:
    assert unknown(expression, told) == wrong


def test_labels_hold_no_secret_and_nothing_that_strangers_choose(watched: Watched, told: Told) -> None:
    assert set[str]().union(*told.values()) <= LABELS
    for name, page in watched.pages().items():
        assert SECRET not in page.lower(), name
        assert watched.key not in page, name


def samples(found: Mapping[str, Any]) -> list[Any]:
    result: list[Any] = found["data"]["result"]
    return result


class Prometheus:
    """A Prometheus with the rules and jobs of deploy/observability/, that looks each second."""

    def __init__(self, folder: Path, watched: Watched) -> None:
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(FOLDER / one) for one in config["rule_files"]]
        for job in config["scrape_configs"]:
            del job["dns_sd_configs"]
            job["static_configs"] = [{"targets": [f"127.0.0.1:{watched.ports[job['job_name']]}"]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)

    def ask(self, expression: str) -> list[Any]:
        answer = requests.get(f"{self.url}/query", params={"query": expression}, timeout=30)
        assert answer.status_code == 200, f"{expression}: {answer.text}"
        return samples(answer.json())

    def get(self, what: str) -> Any:
        return requests.get(f"{self.url}/{what}", timeout=30).json()["data"]

    def all_up(self) -> bool:
        with contextlib.suppress(requests.ConnectionError):
            ready = requests.get(f"http://127.0.0.1:{self.port}/-/ready", timeout=30).status_code == 200
            return ready and len(self.ask("up == 1")) == 6
        return False

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def prometheus(watched: Watched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    started = Prometheus(tmp_path_factory.mktemp("prometheus"), watched)
    try:
        yield started
    finally:
        started.stop()


# Nothing to see in a house that is well.
EMPTY = {"5xx by service and route"}


def test_a_real_prometheus_answers_every_panel_and_evaluates_every_rule(watched: Watched, prometheus: Prometheus) -> None:
    wait_until(prometheus.all_up, 60, "all targets")

    def unanswered() -> list[str]:
        watched.use()
        return [title for title, expression in asked_by_panels() if title not in EMPTY and not prometheus.ask(expression)]

    wait_until(lambda: not unanswered(), 90, "an answer for every panel", pause=0.5)
    for title, expression in asked_by_panels():
        if title in EMPTY:
            assert prometheus.ask(expression.replace("> 0", ">= 0")) is not None

    def rules_asked() -> list[Mapping[str, Any]]:
        found = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else []

    asked = wait_until(rules_asked, 30, "the first evaluation of all rules")
    assert {rule["name"]: rule.get("lastError") for rule in asked if rule["health"] != "ok"} == {}
    assert len(asked) == len(rules())
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    wait_until(lambda: all(prometheus.ask(name) for name in recorded), 60, "an answer of every recorded rule")
    for rule in rules():
        prometheus.ask(filled_in(rule["expr"]))
