"""compose.yaml hands on every setting that the services have, and .env.example speaks of every variable it reads."""

import re
from inspect import getsource
from pathlib import Path

import pytest
from seve_broadcaster.settings import Settings as BroadcasterSettings
from seve_history.settings import HistorySettings
from seve_ingest.settings import Settings as IngestSettings
from seve_runtime.settings import describe
from seve_writer.settings import WriterSettings

ROOT = Path(__file__).parents[1]
COMPOSE = (ROOT / "compose.yaml").read_text()
CLUSTER = (ROOT / "compose.cluster.yaml").read_text()
EXAMPLE = (ROOT / ".env.example").read_text()

OF_THE_IMAGE = {"ADMIN_LISTEN", "ADMIN_ALLOW_UNAUTHENTICATED", "LOG_FORMAT"}
OF_FILES = {"NATS_CERT_FILE", "NATS_KEY_FILE"}
"""For NATS elsewhere that asks for certificates: files that a compose.override.yaml has to mount."""

INNER = {"MQTT_ACCESS", "REVISION", "JWT_KEYS_FOLDER", "JWT_KEYS_NAME", "NATS_CONTAINER_BYTES"}
INNER |= {"MQTT_SCHEME", "NATS_SCHEME", "WS_SCHEME", "PROXY_MODE", "POSTGRES_SSLMODE"}
"""Found out by `./seve`, set by nobody."""


@pytest.mark.parametrize("cls", [IngestSettings, WriterSettings, HistorySettings, BroadcasterSettings])
def test_every_setting_of_a_service_is_handed_on(cls):
    names = {row.name for row in describe(cls)} - OF_THE_IMAGE - OF_FILES
    handed_on = set(re.findall(r"^ +([A-Z][A-Z0-9_]*?)(?:_FILE)?:", COMPOSE, re.MULTILINE))
    handed_on |= set(re.findall(r"^ +([A-Z][A-Z0-9_]*):", COMPOSE, re.MULTILINE))

    assert names
    assert names <= handed_on


def test_setup_gets_what_its_rules_compare():
    """Settings of the writer, which `setup` reads as well; one that it lacked had its default there."""
    environment = re.search(r"^  setup:.*?^    environment:\n      <<: \[(.*?)\]", COMPOSE, re.MULTILINE | re.DOTALL)[1]
    anchors = re.findall(r"\*(\S+?)(?:,|$)", environment)
    blocks = [re.search(rf"^x-{name}: &{name}.*?^\n", COMPOSE, re.MULTILINE | re.DOTALL)[0] for name in anchors]
    rules = getsource(WriterSettings.__post_init__)

    compared = {name.upper() for name in re.findall(r"self\.(?:topology\.)?([a-z_]+)", rules)} - {"TOPOLOGY"}
    assert len(compared) > 3
    assert compared <= set(re.findall(r"^  ([A-Z_]+):", "".join(blocks), re.MULTILINE))


def test_the_example_speaks_of_every_variable():
    read = set(re.findall(r"\$\{([A-Z][A-Z0-9_]*)", COMPOSE + CLUSTER)) - INNER
    read = {name for name in read if not name.startswith("INSIDE_")}
    told = set(re.findall(r"^#([A-Z][A-Z0-9_]*)=", EXAMPLE, re.MULTILINE))

    assert read
    assert read <= told
