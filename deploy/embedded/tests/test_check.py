"""`check` finds faults before anything starts. Each is planted alone in a project without faults."""

import datetime as dt
import os
import socket
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from seve_embedded.checks import certificates, clock, disk
from seve_embedded.checks.finding import FAULT, WARNING, Finding, exit_code, report
from seve_embedded.commands import check
from seve_embedded.state import State, write_private
from support.conditions import free_port

pytestmark = pytest.mark.slow  # each asks three services for their settings

PORTS = ("NATS_PORT", "POSTGRES_PORT", "INGEST_ADMIN_PORT", "BROADCASTER_ADMIN_PORT", "WRITER_ADMIN_PORT")


def certificate(folder, name, days):
    """Write a certificate that expires in `days`, and its key."""
    key, subject = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=400))
        .not_valid_after(now + dt.timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    write_private(folder / f"{name}.key", private)


class Project:
    """A folder with correct settings, and a state folder as `up` leaves it."""

    def __init__(self, folder):
        self.folder = folder
        self.state = State(folder / ".seve")
        self.state.make()
        self.state.secret("postgres")
        certificate(folder, "good", days=200)
        self.settings = {name: str(free_port()) for name in PORTS}
        self.settings |= {"MQTT_LISTEN": f"127.0.0.1:{free_port()}", "WS_LISTEN": f"127.0.0.1:{free_port()}"}
        self.settings |= {"WS_TLS_CERT_FILE": str(folder / "good.pem"), "WS_TLS_KEY_FILE": str(folder / "good.key")}

    def findings(self):
        """Return the findings of `check`, without those about the synchronisation of this machine's clock."""
        write_private(self.folder / ".env", "".join(f"{name}={value}\n" for name, value in self.settings.items()))
        return self.look()

    def look(self):
        found, _ = check.gather({"PATH": os.environ["PATH"]}, self.folder)
        return [one for one in found if "unsynchronised" not in one.what]


@pytest.fixture
def planted(tmp_path):
    """A project without faults."""
    return Project(tmp_path)


def a_wrong_value(project):
    project.settings["BATCH_SIZE"] = "many"
    return "settings", "BATCH_SIZE = 'many'", "correct it in .env"


def a_misspelt_name(project):
    project.settings["BATCH_SZIE"] = "100"
    return "settings", "did you mean BATCH_SIZE?", "correct it in .env"


def a_rule_between_settings(project):
    project.settings["MQTT_LISTEN"] = "0.0.0.0:1883"
    return "settings", "opens MQTT to the network", "correct it in .env"


def one_port_twice(project):
    project.settings["NATS_PORT"] = project.settings["POSTGRES_PORT"]
    return "ports", "is already given by NATS_PORT", "correct it in .env"


def a_small_disk(project):
    project.settings["JOURNAL_MAX_BYTES"] = "9000TiB"
    return "disk", "for streams, which may grow by", "lower JOURNAL_MAX_BYTES"


def a_clock_set_back(project):
    log = project.state.log("ingest")
    log.touch()
    os.utime(log, (time.time() + 86400,) * 2)
    return "clock", "s ahead of now: the clock was set back", "timedatectl set-ntp true"


def an_open_state_folder(project):
    project.state.folder.chmod(0o755)
    return "permissions", "can be read by others (mode 755)", "chmod 700 "


def a_password_that_others_read(project):
    (project.state.secrets / "postgres").chmod(0o644)
    return "permissions", "secrets/postgres can be read by others", "chmod 600 "


def a_certificate_that_ended(project):
    certificate(project.folder, "good", days=-3)
    return "certificates", "ended 3 days ago", "renew "


def a_certificate_that_is_not_there(project):
    (project.folder / "good.pem").unlink()
    return "certificates", "there is no such file", "put the certificate there"


def a_key_of_another_certificate(project):
    certificate(project.folder, "other", days=200)
    (project.folder / "other.key").replace(project.folder / "good.key")
    return "certificates", "is not the key of", "files of one pair"


def a_key_that_others_read(project):
    (project.folder / "good.key").chmod(0o640)
    return "certificates", "good.key can be read by others", "chmod 600 "


def a_route_whose_test_fails(project):
    routes = project.folder / "routes.toml"
    routes.write_text('[[test]]\ntopic = "croissance/co2"\npayload = "450.5"\nexpect = { sensor = "co3" }\n')
    project.settings["ROUTES_FILE"] = str(routes)
    return "routes", "expected sensor = 'co3', got 'co2'", "./seve explain --test"


def a_database_of_another_version(project):
    project.state.postgres_data.mkdir(parents=True)
    (project.state.postgres_data / "PG_VERSION").write_text("15\n")
    return "versions", "is of PostgreSQL 15", "./seve restore"


FAULTS = (
    *(a_wrong_value, a_misspelt_name, a_rule_between_settings, one_port_twice, a_small_disk, a_clock_set_back),
    *(an_open_state_folder, a_password_that_others_read, a_certificate_that_ended, a_certificate_that_is_not_there),
    *(a_key_of_another_certificate, a_key_that_others_read, a_route_whose_test_fails, a_database_of_another_version),
)


def test_a_project_without_a_fault_has_no_finding(planted):
    assert planted.findings() == []


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_fault_is_found_with_what_mends_it(planted, plant):
    """In one line; there is no other finding."""
    area, what, mend = plant(planted)
    [found] = planted.findings()
    assert (found.area, found.weight) == (area, FAULT)
    assert what in found.what
    assert mend in found.mend


def test_a_certificate_that_seve_made_is_renewed_by_it(tmp_path):
    """Wherever a setting, or TLS=on, names it."""
    (tmp_path / ".seve/tls").mkdir(parents=True)
    certificate(tmp_path / ".seve/tls", "mqtt", days=-1)
    named = {"MQTT_TLS_CERT_FILE": ".seve/tls/mqtt.pem", "MQTT_TLS_KEY_FILE": ".seve/tls/mqtt.key"}
    [found] = certificates.check(named, tmp_path, time.time())
    assert found.mend == "./seve certs"


def test_a_port_that_is_taken_is_found(planted):
    with socket.create_server(("127.0.0.1", 0)) as other:
        planted.settings["NATS_PORT"] = str(other.getsockname()[1])
        [found] = planted.findings()
    assert (found.area, found.weight) == ("ports", FAULT)
    assert "is taken" in found.what
    assert found.mend == "set NATS_PORT to another, here or in .env"


def test_a_fault_that_lets_the_stack_run_is_a_warning(planted):
    """A certificate that expires soon, and passwords in a file that others can read."""
    certificate(planted.folder, "good", days=7)
    planted.settings |= {"MQTT_USERNAME": "device", "MQTT_PASSWORD": "a-long-word"}
    planted.findings()
    (planted.folder / ".env").chmod(0o644)
    found = planted.look()
    assert [(one.area, one.weight) for one in found] == [("certificates", WARNING), ("permissions", WARNING)]
    assert exit_code(found) == 0


def test_check_makes_nothing(planted, tmp_path):
    """Neither passwords nor folders."""
    (tmp_path / "empty").mkdir()
    check.gather({"PATH": os.environ["PATH"]}, tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_slow_disk_is_a_warning_that_says_what_it_costs(tmp_path):
    slow = disk.Disk(free=1 << 40, sync=0.05)
    for interval, words in (("always", "20 messages of a kind per second"), ("1s", "20 batches per second")):
        [found] = disk.check(slow, where=tmp_path, growth=0, sync_interval=interval)
        assert found.weight == WARNING
        assert words in found.what
    assert disk.measure(tmp_path / "not" / "there").sync > 0
    assert list(tmp_path.iterdir()) == []


def test_an_unsynchronised_clock_is_a_warning():
    assert clock.check(0, (), synchronised=None) == clock.check(0, (), synchronised=True) == []
    [found] = clock.check(0, (), synchronised=False)
    assert (found.weight, found.mend) == (WARNING, "timedatectl set-ntp true")


def test_a_report_has_faults_first_and_a_line_for_each():
    findings = [Finding("clock", "is odd", "wait", WARNING), Finding("ports", "taken", "set it")]
    assert report(findings, ["ports", "clock"]).splitlines() == [
        "fault    ports        taken  ->  set it",
        "warning  clock        is odd  ->  wait",
        "Checked ports, clock: 1 fault, 1 warning.",
    ]
    assert report([], ["ports"]) == "Checked ports: nothing found."
    assert (exit_code(findings), exit_code([])) == (1, 0)
