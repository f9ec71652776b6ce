"""`.env` as people write it."""

import pytest
from seve_embedded.shared import env_file


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("NATS_PORT=4333", {"NATS_PORT": "4333"}),
        ("  export NATS_PORT = 4333  ", {"NATS_PORT": "4333"}),
        ("MQTT_PASSWORD='a # b'", {"MQTT_PASSWORD": "a # b"}),
        ('MQTT_PASSWORD="it\'s" # mine', {"MQTT_PASSWORD": "it's"}),
        ("MQTT_PASSWORD=a#b", {"MQTT_PASSWORD": "a#b"}),
        ("MQTT_PASSWORD=$HOME", {"MQTT_PASSWORD": "$HOME"}),
        ("NATS_PORT=4333 # changed", {"NATS_PORT": "4333"}),
        ("NATS_PORT=", {"NATS_PORT": ""}),
        ("# NATS_PORT=1", {}),
        ("\ufeffNATS_PORT=4333\r", {"NATS_PORT": "4333"}),
    ],
)
def test_reads_a_line(line, expected):
    """Comments, quotes and blanks as in a shell; nothing is expanded."""
    assert env_file.parse(line) == expected


def test_every_faulty_line_is_named():
    """A line that is no assignment is reported by its number. Its content is not shown: it may be a secret."""
    with pytest.raises(env_file.EnvFileError) as caught:
        env_file.parse("A=1\nhunter2\nB=2\n1C=3\n")
    assert caught.value.faults == [
        "file .env, line 2: expected NAME=value",
        "file .env, line 4: expected NAME=value",
    ]


def test_the_environment_wins_over_the_file_unless_it_is_empty():
    """A variable before the command counts more than the file in the folder."""
    assert env_file.merged({"A": "typed", "B": ""}, "A=file\nB=file\nC=file") == {
        "A": "typed",
        "B": "file",
        "C": "file",
    }
