"""The state folder, and the few things outside of it."""

import re
import stat

import pytest
from seve_embedded.state import SOCKET_PATH_MAX, State, write_private


@pytest.fixture
def deep(tmp_path, monkeypatch):
    """A state folder whose path is too long for a socket; temporary files go to a folder of the test."""
    temporary = tmp_path / "t"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return State(tmp_path / ("deep" * 30) / ".seve"), temporary


def test_the_socket_is_in_the_state_folder_if_its_path_is_short(tmp_path):
    """Everything of a stack is in one place."""
    state = State("/srv/seve/.seve")
    assert state.socket == state.run / "supervisor.sock"


def test_the_socket_of_a_deep_folder_is_in_a_private_one(deep):
    """The kernel accepts no longer path; the private folder is removed with the stack's."""
    state, temporary = deep
    state.make()
    assert len(str(state.run / "supervisor.sock")) > SOCKET_PATH_MAX
    assert state.socket.parent.parent == temporary
    assert stat.S_IMODE(state.socket.parent.stat().st_mode) == 0o700
    state.remove_socket()
    state.remove_socket()
    assert list(temporary.iterdir()) == []


def test_two_stacks_never_share_a_socket(deep):
    """Its folder is named after the whole path."""
    state, _ = deep
    assert state.socket != State(state.folder.parent / "other" / ".seve").socket


def test_a_secret_is_created_once_and_only_its_owner_can_read_it(tmp_path):
    """The same at every start, another for each name."""
    state = State(tmp_path / ".seve")
    state.make()
    first = state.secret("nats")
    assert state.secret("nats") == first
    assert state.secret("postgres") != first
    assert stat.S_IMODE((state.secrets / "nats").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.folder.stat().st_mode) == 0o700


def test_a_private_file_is_replaced_whole(tmp_path):
    """Others cannot read it meanwhile, and remains of an interrupted write do not matter."""
    path = tmp_path / "plan.json"
    (tmp_path / "plan.json.new").write_text("half")
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.json"]


def test_the_name_of_ingests_session_cannot_be_guessed(tmp_path):
    """It is made once, and another in each installation."""
    first, second = State(tmp_path / "a"), State(tmp_path / "b")
    for state in (first, second):
        state.make()
    assert re.fullmatch(r"seve-ingest-[0-9a-f]{16}", first.mqtt_client_id)
    assert first.mqtt_client_id == State(tmp_path / "a").mqtt_client_id != second.mqtt_client_id


def test_an_installation_keeps_the_session_that_its_broker_has(tmp_path):
    """Messages that wait there would be lost under another name."""
    state = State(tmp_path)
    state.make()
    state.nats_data.mkdir()
    assert state.mqtt_client_id == "seve-ingest"
