"""What stands beside the server: alerts, runbook, dashboard, against the metrics that it really exposes."""

import json
import re

import httpx2
import yaml

from tests.support import ROOT
from tests.support.parcels import REQUIRED

WORDS = {"figure", "job", "route", "status", "le", "column", "outcome", "name", "version", "reason"}
FUNCTIONS = {"time", "sum", "rate", "by", "on", "group_left", "increase", "histogram_quantile"}


def alerts() -> dict[str, str]:
    written = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    return {rule["alert"]: rule["expr"] for group in written["groups"] for rule in group["rules"]}


def dashboard() -> list[str]:
    written = json.loads((ROOT / "deploy/grafana/dashboards/serving.json").read_text())
    return [target["expr"] for panel in written["panels"] for target in panel["targets"]]


def exposed(server: httpx2.Client) -> set[str]:
    """Every series that there is once something was asked; gauges also where they have no value yet."""
    server.post("/predict", json={**REQUIRED, "city": "QQQ"})
    text = server.get("/metrics").text
    gauges = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE") and line.endswith("gauge")}
    return (
        gauges
        | {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
        | {
            f"{line.split()[2]}_total"
            for line in text.splitlines()
            if line.startswith("# TYPE") and line.endswith("counter")
        }
    )


def test_alerts_and_dashboard_ask_for_metrics_that_the_server_has(server: httpx2.Client) -> None:
    there = exposed(server) | {"up"} | {"model_reloads_total"}
    for expression in [*alerts().values(), *dashboard()]:
        bare = re.sub(r'"[^"]*"|\[[^]]*\]|\b(by|on) \([^)]*\)|\{[^}]*\}', "", expression)
        asked = set(re.findall(r"[a-z][a-z_]+", bare)) - FUNCTIONS
        assert asked, expression
        assert asked <= there, (expression, asked - there)


def test_every_alert_has_its_entry_in_the_runbook_and_no_other_has() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text()
    assert re.findall(r"^## (\w+)$", runbook, re.MULTILINE) == list(alerts())
    written = (ROOT / "deploy/prometheus/alerts.yml").read_text()
    assert set(re.findall(r"runbook: docs/runbook.md#(\w+)", written)) == {name.lower() for name in alerts()}


def test_labels_that_are_asked_for_are_labels_that_there_are() -> None:
    for expression in [*alerts().values(), *dashboard()]:
        named = re.findall(r"(?:by|on) \(([^)]*)\)", expression) + re.findall(r"\{(\w+)=", expression)
        assert {word for part in named for word in re.findall(r"\w+", part)} <= WORDS
