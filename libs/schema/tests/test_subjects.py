"""Any module name makes a subject and comes back unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_schema.envelope import KINDS
from seve_schema.subjects import SubjectError, module_of_token, module_token, parse_subject, telemetry_subject

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)


@given(names)
def test_a_module_token_is_reversible_and_one_plain_token(name):
    """A token holds no dot, wildcard or space, so a name cannot escape its place in a subject."""
    token = module_token(name)
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-%")
    assert name == module_of_token(token)


@given(names, st.sampled_from(KINDS))
def test_a_subject_tells_module_and_kind(name, kind):
    """What publishes a subject and what consumes it agree."""
    assert (name, kind) == parse_subject(telemetry_subject(name, kind))


def test_republished_subjects_parse_alike():
    """The broadcaster reads `live.`, the writer `telemetry.`: one parser serves both."""
    assert parse_subject("live.serre-2.system.config") == ("serre-2", "system.config")


@pytest.mark.parametrize(
    "subject", ["telemetry", "telemetry.a", "telemetry..log", "telemetry.a.b", "latest.a", "x.a.log"]
)
def test_a_foreign_subject_is_refused(subject):
    """Nothing is guessed from a subject Sève does not write."""
    with pytest.raises(SubjectError):
        parse_subject(subject)


def test_the_empty_name_has_no_token():
    """NATS knows no empty token."""
    with pytest.raises(SubjectError):
        module_token("")
