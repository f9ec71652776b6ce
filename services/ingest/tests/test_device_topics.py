"""A device with an identity may publish its own topics in every layout, and none that is read as another module's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub
from seve_ingest.routing import device_topics
from seve_ingest.routing.presets import PRESET_TOPICS
from seve_ingest.routing.routes import Route, RouteTable

EVERY = "esphome,tasmota,zigbee2mqtt"
SITE = device_topics.Layout("+/{module}/{sensor}", "measurement")
NAMES = ("croissance", "other", "tele", "stat", "zigbee2mqtt", "bridge", "homeassistant", "system", "status", "cmnd")
WORDS = (*NAMES, "SENSOR", "STATE", "LWT", "set", "config", "state", "co2")


def test_the_native_layout_gives_the_modules_own_topics():
    assert device_topics.publish(device_topics.routes(""), "croissance") == ["croissance/#"]


def test_each_preset_adds_its_topics():
    assert device_topics.publish(device_topics.routes(EVERY), "croissance") == [
        "tele/croissance/#",
        "stat/croissance/#",
        "zigbee2mqtt/croissance/#",
        "croissance/#",
    ]


def test_a_prefix_stands_before_all():
    assert device_topics.publish(device_topics.routes("tasmota"), "plug", "/site/a/") == [
        "site/a/tele/plug/#",
        "site/a/stat/plug/#",
        "site/a/plug/#",
    ]


def test_a_module_named_like_a_route_word_gets_no_topics_of_others():
    """`tele/other/SENSOR` would be a sample of `other`."""
    assert device_topics.publish(device_topics.routes("tasmota"), "tele") == ["tele/tele/#", "stat/tele/#"]
    assert device_topics.publish(device_topics.routes(""), "tele") == ["tele/#"]


def test_a_route_of_the_file_takes_its_topics_from_the_presets():
    """With `{site}/{module}/{sensor}`, a topic of three levels is another module's."""
    assert device_topics.publish(device_topics.routes("", [SITE]), "croissance") == ["+/croissance/+", "croissance/+"]


def test_a_route_with_a_fixed_module_is_of_that_module_alone():
    own = [device_topics.Layout("boiler/#", "other", "cellar")]
    assert device_topics.publish(device_topics.routes("", own), "cellar") == ["boiler/#", "cellar/#"]
    assert device_topics.publish(device_topics.routes("", own), "boiler") == []


def _route(layout):
    return Route(topic=layout.topic, kind=layout.kind, module=layout.module or None, sensor="any")


@given(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(sorted(PRESET_TOPICS)), unique=True),
    st.lists(st.sampled_from([SITE, device_topics.Layout("{sensor}/of/{module}/#", "measurement")]), unique_by=str),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5),
)
def test_no_topic_that_is_allowed_is_read_as_another_modules(module, presets, own, levels):
    """Compared with the matching of ingest."""
    table = device_topics.routes(",".join(presets), own)
    match = RouteTable(("", _route(layout)) for layout in table).match(levels)
    allowed = any(topic_matches_sub(one, "/".join(levels)) for one in device_topics.publish(table, module))
    if allowed and match and match.route.kind != "ignored":
        assert match.module_id == module


@pytest.mark.parametrize(
    "module", ["croissance", "sim-1f-003", "serre-été", "esp32.kitchen", "7", "a_b", "x" * 64, "é" * 64]
)
def test_names_of_modules_are_usable(module):
    assert device_topics.usable_name(module)


@pytest.mark.parametrize(
    "module",
    [
        "",
        "a/b",
        "+",
        "#",
        "a b",
        "$SYS",
        "_INBOX",
        "a:b",
        "a*",
        "a>",
        "-a",
        ".a",
        "a\n",
        'a"',
        "a%u",
        "x" * 65,
        "é" * 64 + "x",
    ],
)
def test_names_that_a_broker_reads_otherwise_are_not(module):
    assert not device_topics.usable_name(module)


@pytest.mark.parametrize("topic", ["zigbee2mqtt/#", "site/+/co2", "a"])
def test_filters_for_gateways(topic):
    assert device_topics.usable_filter(topic)


@pytest.mark.parametrize(
    "topic", ["#", "+/a", "$JS/#", "_INBOX/#", "a//b", "a/#/b", "/a", "a/", "a b", "a/*", "a/>", ""]
)
def test_a_filter_that_may_hold_the_brokers_own_topics_is_refused(topic):
    assert not device_topics.usable_filter(topic)


def test_an_unknown_preset_is_named():
    with pytest.raises(ValueError, match="'esphom' is none of"):
        device_topics.routes("esphom")
