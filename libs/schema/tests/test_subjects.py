"""Any module name can be written as a token of a subject and read back unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_schema.envelope import KINDS
from seve_schema.subjects import (
    SubjectError,
    ingest_name,
    module_of_token,
    module_token,
    parse_subject,
    telemetry_subject,
)

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)


@given(names)
def test_a_module_token_is_reversible_and_a_single_token(name):
    """A token has no dot, wildcard or space, so a name cannot change the structure of a subject."""
    token = module_token(name)
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-%")
    assert name == module_of_token(token)


@given(names, st.sampled_from(KINDS))
def test_a_subject_has_ingest_and_kind(client_id, kind):
    """They are read back as they were written; the ingest's name is a hash, not the client id."""
    name = ingest_name(client_id)
    assert (name, kind) == parse_subject(telemetry_subject(name, kind))
    assert len(name) == 8


def test_two_client_ids_have_two_names():
    """Each ingest is the only publisher of its subjects."""
    assert ingest_name("seve-ingest-1") != ingest_name("seve-ingest-2")


@pytest.mark.parametrize(
    "subject", ["telemetry", "telemetry.a", "telemetry..log", "telemetry.a.b", "latest.a", "x.a.log"]
)
def test_a_foreign_subject_is_refused(subject):
    """A subject that Sève does not write is not interpreted."""
    with pytest.raises(SubjectError):
        parse_subject(subject)


def test_the_empty_name_has_no_token():
    """NATS allows no empty token."""
    with pytest.raises(SubjectError):
        module_token("")
