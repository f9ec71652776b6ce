"""Misspelt settings are found by comparison with the names in the checkout."""

from seve_embedded.shared import known_settings

SETTINGS = {"BATCH_SIZE", "BATCH_MAX", "MQTT_PASSWORD", "MQTT_PASSWORD_FILE"}


def test_a_misspelt_setting_is_named_with_the_nearest():
    assert known_settings.faults(["BATCH_SZIE", "BATCH_SIZE", "mqtt_password"], SETTINGS) == [
        "BATCH_SZIE is unknown: did you mean BATCH_SIZE?",
        "mqtt_password is unknown: did you mean MQTT_PASSWORD?",
    ]


def test_an_unknown_name_is_mentioned_but_no_fault():
    assert known_settings.faults(["GRAFANA_HOME"], SETTINGS) == []
    assert known_settings.unread(["GRAFANA_HOME", "BATCH_SIZE", "BATCH_SZIE"], SETTINGS) == ["GRAFANA_HOME"]


def test_without_the_checkout_nothing_is_known_and_nothing_is_refused(tmp_path):
    settings = known_settings.known(tmp_path)
    assert known_settings.faults(["BATCH_SZIE"], settings) == known_settings.unread(["BATCH_SZIE"], settings) == []


def test_a_name_in_a_compose_override_is_known(tmp_path):
    (tmp_path / "compose.override.yaml").write_text("environment: { HOUSE: ${HOUSE} }")
    assert "HOUSE" in known_settings.known(tmp_path)


def test_a_setting_of_an_earlier_version_is_refused_with_the_reason():
    """Otherwise it would be ignored silently."""
    [fault] = known_settings.faults(["HISTORY_MAX_MSGS_PER_SUBJECT"], known_settings.known())
    assert fault.startswith("HISTORY_MAX_MSGS_PER_SUBJECT is no longer a setting: the journal keeps")
