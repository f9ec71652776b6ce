"""A device that was offline for a day hands in what it remembered: rows and frames of their own times."""

import json
import time

from support.conditions import wait_until

MESSAGES, SAMPLES = 100, 100
BETWEEN = 86_400 / (MESSAGES * SAMPLES)


def test_a_days_buffer_is_stored_sample_by_sample(stack, publish, watched, module):
    """10,000 samples in 100 messages, oldest first, behind a sample of now."""
    now = time.time()
    begin = now - 86_400
    publish(f"{module}/co2", json.dumps({"value": -1, "time": now}))
    for number in range(MESSAGES):
        first = number * SAMPLES
        body = {"t0": begin + first * BETWEEN, "dt": BETWEEN, "v": list(range(first, first + SAMPLES))}
        publish(f"{module}/co2", json.dumps(body))
    rows = (
        f"SELECT count(*), count(DISTINCT time), min(value), max(value) FROM measurements WHERE module_id = '{module}'"
    )
    expected = [(MESSAGES * SAMPLES + 1, MESSAGES * SAMPLES + 1, -1, MESSAGES * SAMPLES - 1)]
    wait_until(lambda: stack.query(rows) == expected, "every sample a row with a time of its own", 60)
    apart = f"""
        SELECT count(*) FROM measurements
        WHERE module_id = '{module}' AND value >= 0
            AND abs(extract(epoch FROM time) - {begin} - value * {BETWEEN}) > 0.01
    """
    assert stack.query(apart) == [(0,)]
    wait_until(lambda: len(watched.envelopes) == MESSAGES * SAMPLES + 1, "every sample on the screen")
    old = [envelope for envelope in watched.envelopes if envelope["value"] >= 0]
    assert {envelope["clock"] for envelope in old} == {"device"}
    assert [envelope["value"] for envelope in old] == sorted(envelope["value"] for envelope in old)
    assert old[0]["time"] < old[-1]["time"] < watched.envelopes[0]["time"]
