"""seve.js, the importable client, in a browser against the running stack."""

import pytest
from support.conditions import wait_until
from support.screens import state_is, values


def test_hands_out_the_present_then_the_news(follow, device, held, name):
    """What was said before comes as snapshot, what is said after as news, in order."""
    module = device(name)
    module.sample("co2", 1)
    held(name, "co2", 1)
    page = follow(modules=[name])
    state_is(page, "live")
    wait_until(lambda: values(page) == [1], "the snapshot")
    module.sample("co2", 2)
    module.sample("co2", 3)
    wait_until(lambda: values(page) == [1, 2, 3], "the news")
    assert page.evaluate("seen.messages.map(([, , snapshot]) => snapshot)") == [True, False, False]


def test_a_token_kept_from_earlier_resumes_in_another_page(follow, device, name):
    """`since` brings what came after it instead of a snapshot."""
    module = device(name)
    first = follow(modules=[name])
    state_is(first, "live")
    module.sample("co2", 1)
    wait_until(lambda: values(first) == [1], "the first message")
    since = first.evaluate("client.seq")
    module.sample("co2", 2)
    module.sample("co2", 3)
    second = follow(modules=[name], since=since)
    wait_until(lambda: values(second) == [2, 3], "what came since")
    assert second.evaluate("seen.messages.every(([, , snapshot]) => !snapshot)")


def test_a_token_of_another_journal_is_answered_with_a_gap_and_the_present(follow, device, held, name):
    """Where replay cannot reach back, the client is told so and gets what is."""
    module = device(name)
    module.sample("co2", 7)
    held(name, "co2", 7)
    page = follow(modules=[name], since="1-1-0")
    state_is(page, "live")
    wait_until(lambda: values(page) == [7], "the snapshot")
    assert page.evaluate("seen.gaps.length") >= 1


def test_subscribes_and_unsubscribes_on_an_open_connection(follow, device, name):
    """Modules come and go without a new connection."""
    module, other = device(name), device(f"{name}-other")
    page = follow(modules=[name])
    state_is(page, "live")
    page.evaluate("(name) => client.subscribe(name)", f"{name}-other")
    wait_until(lambda: page.evaluate("seen.lives") == 2, "the second subscription")
    other.sample("co2", 1)
    wait_until(lambda: values(page) == [1], "the other module")
    page.evaluate("(name) => { client.unsubscribe(name); client.subscribe(`${name}-else`); }", f"{name}-other")
    wait_until(lambda: page.evaluate("seen.lives") == 3, "the third subscription, hence the end of the second")
    other.sample("co2", 2)
    module.sample("co2", 3)
    wait_until(lambda: 3 in values(page), "the module that stayed")
    assert values(page) == [1, 3]
    assert page.evaluate("seen.states").count("connecting") == 1


def test_however_often_it_is_cut_off_its_messages_are_the_stream(follow, device, name):
    """Connections end anywhere in the stream; every message comes once, in order."""
    module = device(name)
    page = follow(modules=[name])
    state_is(page, "live")
    for value in range(400):
        module.sample("co2", value)
        if value % 23 == 0:
            page.evaluate("client.reconnect()")
    wait_until(lambda: 399 in values(page), "the last message")
    assert values(page) == list(range(400))
    assert page.evaluate("seen.states.filter((state) => state === 'connecting').length") > 1


def test_begins_with_nothing_and_takes_what_it_may(follow, device, held, name):
    """Without modules it waits for `subscribe()`; what is asked for twice is asked for once."""
    device(name).sample("co2", 1)
    held(name, "co2", 1)
    page = follow(modules=[])
    state_is(page, "live")
    page.evaluate("(name) => { client.subscribe(name); client.subscribe(name); }", name)
    wait_until(lambda: page.evaluate("seen.lives") == 2, "the subscription")
    assert values(page) == [1]


def test_filters_sensors(follow, device, name):
    """Of measurements only the sensors asked for arrive."""
    module = device(name)
    page = follow(modules=[name], sensors=["co2"])
    state_is(page, "live")
    module.sample("humidity", 60)
    module.sample("co2", 400)
    wait_until(lambda: page.evaluate("seen.messages.length") >= 1, "a message")
    assert page.evaluate("seen.messages") == [["co2", 400, False]]


@pytest.mark.parametrize("batch", [True, False])
def test_one_message_event_for_every_envelope_however_they_come(follow, device, name, batch):
    """Frames differ with `batch`; what is handed out does not."""
    module = device(name)
    page = follow(modules=[name], batch=batch)
    state_is(page, "live")
    for value in range(30):
        module.sample("co2", value)
    wait_until(lambda: len(values(page)) == 30, "all")
    assert values(page) == list(range(30))


def test_stays_closed_once_closed(follow, name):
    """`close()` is for good, and says so."""
    page = follow(modules=[name])
    state_is(page, "live")
    page.evaluate("client.close()")
    assert page.evaluate("client.state") == "closed"
    page.evaluate("client.connect()")
    state_is(page, "live")
