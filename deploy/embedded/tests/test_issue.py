"""Which certificates are made, and which are left alone."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from seve_embedded.certificates.issue import CannotIssue, issue

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = issue({}, names=["pi.local", "192.168.1.10"], devices=["greenhouse"], now=NOW)
SERVERS = {"mqtt", "nats", "postgres", "ws"}


def again(days=0, held=FIRST, names=(), devices=(), **options):
    """The certificates that another run makes, some days later."""
    written = issue(held, names=names, devices=devices, now=NOW + timedelta(days=days), **options)
    return {name.removesuffix(".pem") for name in written if name.endswith(".pem")}


def names_of(text):
    certificate = x509.load_pem_x509_certificate(text.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_every_link_has_a_certificate_of_its_own():
    """A key that is stolen from one server is no other's."""
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


def test_what_others_reach_has_the_names_given_and_what_they_do_not_reach_has_not():
    """NATS and the database are reached by the services alone."""
    local = {"localhost", "127.0.0.1", "::1"}
    assert names_of(FIRST["mqtt.pem"]) == {*local, "mosquitto", "pi.local", "192.168.1.10"}
    assert names_of(FIRST["postgres.pem"]) == {*local, "postgres"}


def test_a_second_run_makes_nothing():
    """However often it is said."""
    assert again() == set()
    assert again(days=300, devices=["greenhouse"]) == set()


def test_what_ends_within_a_month_is_renewed_and_the_ca_stays():
    """Devices hold the CA's certificate: it lasts ten years."""
    assert again(days=370) == {*SERVERS, "pipeline"}
    assert again(renew=True) == {*SERVERS, "pipeline"}
    assert again(days=3630) == {"ca", *SERVERS, "pipeline"}


def test_a_further_name_makes_the_two_that_have_it_and_keeps_the_earlier_names():
    """Who forgets to repeat a name loses none."""
    assert again(names=["pi.example.org"]) == {"mqtt", "ws"}
    renewed = issue(FIRST, names=["pi.example.org"], devices=[], now=NOW)
    assert {"pi.local", "192.168.1.10", "pi.example.org"} <= names_of(renewed["mqtt.pem"])


def test_a_further_device_is_made_alone():
    assert again(devices=["greenhouse", "attic"]) == {"devices/attic"}


def test_a_key_that_is_gone_or_another_s_is_made_anew():
    """With its certificate."""
    lost = {name: text for name, text in FIRST.items() if name != "mqtt.key"}
    assert again(held=lost) == {"mqtt"}
    assert again(held={**FIRST, "ws.key": FIRST["mqtt.key"]}) == {"ws"}


def test_certificates_of_an_earlier_ca_are_made_anew():
    """Nobody who trusts the new one would accept them."""
    other = issue({}, names=[], devices=[], now=NOW)
    assert again(held={**FIRST, "ca.pem": other["ca.pem"], "ca.key": other["ca.key"]}) == {*SERVERS, "pipeline"}


def test_a_ca_without_its_key_is_not_replaced():
    """The person moved the key away on purpose, or lost it: either way devices trust what is there."""
    with pytest.raises(CannotIssue, match=r"ca\.key is missing"):
        again(held={"ca.pem": FIRST["ca.pem"]})


@pytest.mark.parametrize("name", ["", "a b", "http://pi", "../x", "-x."])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(CannotIssue):
        again(names=[name])
    with pytest.raises(CannotIssue):
        again(devices=[name])
