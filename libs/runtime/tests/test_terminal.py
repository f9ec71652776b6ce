"""Text of a device cannot control the terminal of the person who reads it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seve_runtime.terminal import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("croissance/co2", "croissance/co2"),
        ("sève/température — 21 °C", "sève/température — 21 °C"),
        ("odd\x1b[31mmod", "odd\\u001b[31mmod"),
        ("\x9b31m", "\\u009b31m"),
        ("a\r\nfake line\n", "a\\u000d\\u000afake line\\u000a"),
        ("right\u202eto left\u2028", "right\\u202eto left\\u2028"),
        ("\udc9b", "\\udc9b"),
    ],
)
def test_a_control_character_is_shown_as_its_code(text, shown):
    assert visible(text) == shown


@given(st.text())
def test_no_control_character_is_left_in_any_text(text):
    shown = visible(text)
    assert not [each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    if shown == text:
        return
    assert len(shown) > len(text)
