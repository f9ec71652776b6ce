"""Rules, dashboards and the runbook: checked by promtool, by the metrics that there are, and on real data."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import metrics_table
import pytest
import yaml
from support import clients
from support.conditions import wait_until

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/docker/observability"
RULES = FOLDER / "prometheus/rules.yml"
DASHBOARDS = sorted((FOLDER / "grafana/dashboards").glob("*.json"))
RUNBOOK = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
NAMES = {row.name for found in metrics_table.SERVICES.values() for row in metrics_table.rows(found)}
PARTS = re.compile(r"_(bucket|count|sum)$")


def rules():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDED = {rule["record"] for rule in rules() if "record" in rule}


def panels(kind):
    """Every query of every dashboard for one kind of source."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    yield pytest.param(panel["title"], target, id=f"{path.stem}: {panel['title']} {target['refId']}")


PROMETHEUS = list(panels("prometheus"))
SQL = list(panels("grafana-postgresql-datasource"))


@pytest.mark.parametrize("words", [["check", "rules", str(RULES)], ["test", "rules", "rules_test.yml"]], ids=" ".join)
def test_promtool_is_content_with_the_rules(words):
    """Their syntax, and each alert on a story of its own."""
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed: apt install prometheus")
    done = subprocess.run(
        ["promtool", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_is_content_with_the_configuration():
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed: apt install prometheus")
    command = ["promtool", "check", "config", "--syntax-only", str(FOLDER / "prometheus/prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_story():
    """An alert that no test lets fire may never fire."""
    stories = yaml.safe_load((Path(__file__).parent / "rules_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {one["alertname"] for story in stories for one in story["alert_rule_test"] if one["exp_alerts"]}
    assert fired == {rule["alert"] for rule in ALERTS}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_leads_to_its_entry_of_the_runbook(rule):
    """By a link, and the entry names it."""
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/runbook.md"
    headings = re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)
    [heading] = [one for one in headings if one.lower().replace(" ", "-") == anchor]
    assert f"`{rule['alert']}`" in RUNBOOK.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def expressions():
    for rule in rules():
        yield pytest.param(rule["expr"], id=rule.get("alert") or rule["record"])
    for one in PROMETHEUS:
        yield pytest.param(one.values[1]["expr"], id=one.id)


@pytest.mark.parametrize("expression", list(expressions()))
def test_an_expression_names_metrics_that_are_there(expression):
    """A misspelt name would never fire."""
    recorded = set(re.findall(r"seve:[a-z0-9_:]+", expression))
    assert recorded <= RECORDED
    named = {PARTS.sub("", name) for name in re.findall(r"\bseve_[a-z_]+", expression)}
    assert named <= {PARTS.sub("", name) for name in NAMES}


def feed(stack):
    """Something of every kind, so that every panel has data."""
    with clients.device(stack.mqtt_url) as publish:
        for value in range(20):
            publish("croissance/co2", json.dumps({"value": value}))
        publish("croissance/co2", "warm")
        publish("croissance/co2", json.dumps({"value": "1,5"}))
        publish("croissance/status", "offline", retain=True)
        publish("croissance/system", json.dumps({"rssi": -80, "memory": {"heapFreeKb": 9}}))
        publish("croissance/hardware/config", json.dumps({"chip": {"model": "ESP32", "rev": 3}}))
        publish("croissance/sensors/status", json.dumps({"co2": {"status": "broken", "value": 1}}))
        publish("croissance/logs", json.dumps({"level": "warn", "msg": "slow"}))


NEVER_HERE = {"Transactions repeated", "Journal is full in", "Age of data, 99 of 100", "Refused by reason"}
"""Panels that are empty while nothing fails, or in a pipeline that is too young: their queries are run all the same."""


def test_every_panel_of_prometheus_answers_on_a_running_pipeline(prometheus, own_stack):
    """With data where there can be some."""
    feed(own_stack)
    wait_until(lambda: prometheus.has("seve:stored_envelopes:rate1m > 0"), "the recorded rates", 60)

    def empty():
        return {one.values[0] for one in PROMETHEUS if not prometheus.query(one.values[1]["expr"])} - NEVER_HERE

    wait_until(lambda: not empty(), "something in every panel", 60)


def test_an_alert_fires_when_a_writer_is_stopped_and_ends_when_it_is_back(prometheus, own_stack):
    down = ("SeveServiceDown", "writer")
    wait_until(lambda: prometheus.has('up{job="writer"} == 1'), "the writer scraped")
    own_stack.terminate("writer")
    wait_until(lambda: down in prometheus.firing(), "the alert")
    own_stack.launch("writer")
    own_stack.wait_ready()
    wait_until(lambda: down not in prometheus.firing(), "its end")


def test_every_panel_of_the_database_answers_on_a_running_pipeline(own_stack):
    """Grafana's macros stand for what it puts there; a variable for a module."""
    feed(own_stack)
    wait_until(lambda: own_stack.query("SELECT count(*) FROM device_logs") == [(1,)], "the last message")
    for one in SQL:
        statement = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 > now() - interval '10 years'", one.values[1]["rawSql"])
        rows = own_stack.query(statement.replace("${module:sqlstring}", "'croissance'").replace("%", "%%"))
        assert rows, one.id
    [variable] = json.loads((FOLDER / "grafana/dashboards/module.json").read_text())["templating"]["list"]
    assert own_stack.query(variable["query"]) == [("croissance",)]
