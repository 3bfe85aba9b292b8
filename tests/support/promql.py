"""What rules and dashboards of deploy/observability/ ask Prometheus: their expressions, and the names of metrics and labels in them.

It knows as much of PromQL as these need: strings, matchers in braces, lists of labels, ranges. An expression that is not PromQL is
Prometheus' own business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.processes import ROOT

FOLDER = ROOT / "deploy" / "observability"
DASHBOARD = FOLDER / "grafana" / "gatehouse.json"
RULES = sorted((FOLDER / "rules").glob("*.yml"))

_TOKEN = re.compile(
    r"""(?P<string>"(?:\\.|[^"\\])*")|(?P<number>\d+(?:\.\d+)?(?:ms|[smhdwy])?)|(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)|(?P<other>\S)"""
)
_LISTS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})
_AGGREGATIONS = frozenset({"sum", "min", "max", "avg", "count", "topk", "group"})


@dataclass
class Names:
    """metrics: each with the labels of its matchers. labels: those of `by`, `on` and the like, of whatever metric."""

    metrics: dict[str, set[str]] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)


def names_in(expression: str) -> Names:
    """Find the metrics and labels that an expression names."""
    found = Names()
    tokens = [(str(match.lastgroup), match[0]) for match in _TOKEN.finditer(expression)]
    following = [text for _, text in tokens[1:]] + [""]
    metric, in_matchers, in_list = "", False, False
    for (kind, text), after in zip(tokens, following, strict=True):
        if text == "{":
            in_matchers = True
        elif text == "}":
            in_matchers, metric = False, ""
        elif text == ")":
            in_list = False
        elif kind != "name":
            continue
        elif in_matchers:
            found.metrics[metric].add(text)
        elif in_list:
            found.labels.add(text)
        elif text in _LISTS:
            in_list = after == "("
        elif text not in _WORDS and after != "(" and not (text in _AGGREGATIONS and after in _LISTS):
            metric = text
            found.metrics.setdefault(metric, set())
    return found


def rules() -> list[dict[str, Any]]:
    """Return all rules, recorded ones and alerts."""
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def panels() -> list[dict[str, Any]]:
    """Return the panels that ask something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def asked_by_panels() -> Iterator[tuple[str, str]]:
    """Return the title of each panel with each of its expressions; variables stand for everything."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], filled_in(target["expr"])


def filled_in(expression: str) -> str:
    """Replace Grafana's variables."""
    return re.sub(r"\$(?!__)\w+", ".*", expression.replace("$__rate_interval", "1m"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))
