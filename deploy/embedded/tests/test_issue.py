"""Which certificates are issued, and which are kept."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from seve_embedded.certificates.issue import CannotIssue, issue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = issue({}, names=["pi.local", "192.168.1.10"], devices=["greenhouse"], now=NOW)
SERVERS = {"mqtt", "nats", "postgres", "ws"}


def again(days=0, held=FIRST, names=(), devices=(), **options):
    """Return the certificates that another run issues, some days later."""
    written = issue(held, names=names, devices=devices, now=NOW + timedelta(days=days), **options)
    return {name.removesuffix(".pem") for name in written if name.endswith(".pem")}


def names_of(text):
    certificate = x509.load_pem_x509_certificate(text.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_every_link_has_a_certificate_of_its_own():
    """A key that is stolen from one server does not serve for another."""
    assert {name for name in FIRST if name.endswith(".pem")} == {
        "ca.pem",
        "devices/greenhouse.pem",
        "mqtt.pem",
        "nats.pem",
        "pipeline.pem",
        "postgres.pem",
        "ws.pem",
    }
    assert len({text for name, text in FIRST.items() if name.endswith(".key")}) == 7


def test_only_servers_that_others_reach_have_the_given_names():
    """Only services reach NATS and the database."""
    local = {"localhost", "127.0.0.1", "::1"}
    assert names_of(FIRST["mqtt.pem"]) == {*local, "mosquitto", "pi.local", "192.168.1.10"}
    assert names_of(FIRST["postgres.pem"]) == {*local, "postgres"}


def test_a_second_run_makes_nothing():
    """However often it is repeated."""
    assert again() == set()
    assert again(days=300, devices=["greenhouse"]) == set()


def test_certificates_are_renewed_a_month_before_they_expire_and_the_ca_stays():
    """Devices have the CA's certificate: it is valid for ten years."""
    assert again(days=370) == {*SERVERS, "pipeline"}
    assert again(renew=True) == {*SERVERS, "pipeline"}
    assert again(days=3630) == {"ca", *SERVERS, "pipeline"}


def test_a_further_name_renews_two_certificates_and_keeps_their_earlier_names():
    """A name that is not repeated is not lost."""
    assert again(names=["pi.example.org"]) == {"mqtt", "ws"}
    renewed = issue(FIRST, names=["pi.example.org"], devices=[], now=NOW)
    assert {"pi.local", "192.168.1.10", "pi.example.org"} <= names_of(renewed["mqtt.pem"])


def test_a_further_device_issues_only_its_certificate():
    assert again(devices=["greenhouse", "attic"]) == {"devices/attic"}


def test_a_missing_or_wrong_key_is_replaced():
    """Together with its certificate."""
    lost = {name: text for name, text in FIRST.items() if name != "mqtt.key"}
    assert again(held=lost) == {"mqtt"}
    assert again(held={**FIRST, "ws.key": FIRST["mqtt.key"]}) == {"ws"}


def test_certificates_of_an_earlier_ca_are_replaced():
    """Clients that trust the new CA would not accept them."""
    other = issue({}, names=[], devices=[], now=NOW)
    assert again(held={**FIRST, "ca.pem": other["ca.pem"], "ca.key": other["ca.key"]}) == {*SERVERS, "pipeline"}


def test_a_ca_without_its_key_is_not_replaced():
    """Whether the person moved the key away on purpose or lost it, devices trust the existing CA."""
    with pytest.raises(CannotIssue, match=r"ca\.key is missing"):
        again(held={"ca.pem": FIRST["ca.pem"]})


@pytest.mark.parametrize("name", ["", "a b", "http://pi", "../x", "-x."])
def test_a_text_that_is_no_name_is_refused(name):
    with pytest.raises(CannotIssue):
        again(names=[name])
    with pytest.raises(CannotIssue):
        again(devices=[name])
