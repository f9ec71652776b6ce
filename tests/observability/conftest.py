"""Prometheus on a running pipeline."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from support.conditions import free_port, wait_until

RULES = Path(__file__).parents[2] / "deploy/docker/observability/prometheus/rules.yml"


class Prometheus:
    """A server of the test's own, which scrapes the admin ports of a stack."""

    def __init__(self, folder, stack):
        self.folder = folder
        self.port = free_port()
        jobs = {}
        for part in stack.services:
            jobs.setdefault(part.partition("-")[0], []).append(stack.admin_url(part).removeprefix("http://"))
        scrapes = [{"job_name": job, "static_configs": [{"targets": targets}]} for job, targets in jobs.items()]
        config = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "400ms", "evaluation_interval": "500ms"},
            "rule_files": [str(RULES)],
            "scrape_configs": scrapes,
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    def start(self):
        options = {
            "config.file": self.folder / "prometheus.yml",
            "storage.tsdb.path": self.folder / "data",
            "web.listen-address": f"127.0.0.1:{self.port}",
            "log.level": "warn",
        }
        with (self.folder / "log").open("wb") as log:
            command = ["prometheus", *(f"--{name}={value}" for name, value in options.items())]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def query(self, expression):
        """The result of an instant query. Raises HTTPError for one that Prometheus refuses."""
        question = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{question}", timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def firing(self):
        """The names and jobs of the alerts that are pending or firing."""
        return {(one["metric"]["alertname"], one["metric"].get("job")) for one in self.query("ALERTS")}

    def has(self, expression):
        """Whether a query has a result by now; a server that does not answer yet has none."""
        try:
            return bool(self.query(expression))
        except OSError:
            return False


@pytest.fixture
def prometheus(tmp_path, own_stack):
    """Prometheus with the project's rules, on a pipeline of its own."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed: apt install prometheus")
    (tmp_path / "prometheus").mkdir()
    server = Prometheus(tmp_path / "prometheus", own_stack)
    server.start()
    wait_until(lambda: server.has(f"count(up == 1) == {len(own_stack.services)}"), "every service scraped")
    yield server
    server.stop()
