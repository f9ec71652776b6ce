"""A server that dies, stops or forgets, as a client of seve.js and a reader of the page live through it."""

import re
import time

from playwright.sync_api import expect
from support.conditions import wait_until
from support.screens import INK, row, state_is, values


def test_resumes_across_a_killed_server_with_nothing_missed_and_nothing_twice(follow, device, name, stack):
    """The union over a connection that is cut is the stream."""
    module = device(name)
    page = follow(modules=[name])
    state_is(page, "live")
    for value in range(20):
        module.sample("co2", value)
    wait_until(lambda: len(values(page)) == 20, "the first messages")
    stack.kill("broadcaster")
    for value in range(20, 40):
        module.sample("co2", value)
    stack.launch("broadcaster")
    stack.wait_ready()
    state_is(page, "live")
    for value in range(40, 50):
        module.sample("co2", value)
    wait_until(lambda: len(values(page)) >= 50, "the last messages")
    assert values(page) == list(range(50))
    assert page.evaluate("seen.gaps") == []
    assert "waiting 1006" in page.evaluate("seen.states")


def test_comes_back_when_the_server_says_so(follow, device, name, stack):
    """A server that stops in order sends its clients away; they return after the time it gave them."""
    module = device(name)
    page = follow(modules=[name])
    state_is(page, "live")
    stack.terminate("broadcaster")
    module.sample("co2", 1)
    stack.launch("broadcaster")
    stack.wait_ready()
    wait_until(lambda: values(page) == [1], "what came meanwhile")
    assert "waiting 1001" in page.evaluate("seen.states")


def test_a_restarted_server_leaves_no_hole_in_the_plotted_series(open_page, page_url, device, stack, name):
    """What came while the server was dead is replayed into the trend."""
    module = device(name)
    begin = time.time() - 50
    page = open_page(f"{page_url}?filter={name}")
    for second in range(10):
        module.sample("co2", 400 + second, begin + second)
    canvas = row(page, name, "CO₂").locator("canvas")
    expect(row(page, name, "CO₂").get_by_role("cell").last).to_have_text("409ppm")
    expect(page.get_by_role("status")).to_have_text("Live")
    stack.kill("broadcaster")
    for second in range(10, 40):
        module.sample("co2", 400 + second, begin + second)
    expect(page.get_by_role("status")).not_to_have_text("Live")
    stack.launch("broadcaster")
    stack.wait_ready()
    for second in range(40, 46):
        module.sample("co2", 400 + second, begin + second)
    expect(row(page, name, "CO₂").get_by_role("cell").last).to_have_text("445ppm", timeout=40_000)
    expect(page.get_by_role("status")).to_have_text("Live")
    drawn = canvas.evaluate(INK)
    assert drawn["missing"] == 0
    assert drawn["drawn"] > 40
    expect(page.get_by_text(re.compile("gap"))).to_have_count(0)


def test_an_opening_page_draws_its_past(open_page, page_url, device, held, name):
    """The trend fills from replay: it does not begin where the page did."""
    module = device(name)
    begin = time.time() - 40
    for second in range(0, 40, 2):
        module.sample("co2", 400 + second, begin + second)
    held(name, "co2", 438)
    page = open_page(f"{page_url}?filter={name}")
    expect(row(page, name, "CO₂").get_by_role("cell").last).to_have_text("438ppm")
    wait_until(lambda: row(page, name, "CO₂").locator("canvas").evaluate(INK)["drawn"] > 40, "the trend")
    assert row(page, name, "CO₂").locator("canvas").evaluate(INK)["missing"] == 0


def test_messages_the_server_no_longer_holds_are_drawn_as_a_gap(open_page, page_url, device, forget, stack, name):
    """Nothing is drawn where nothing is known, and the page says so."""
    module = device(name)
    page = open_page(f"{page_url}?filter={name}")
    begin = time.time() - 50
    for second in range(10):
        module.sample("co2", 400, begin + second)
    expect(row(page, name, "CO₂").get_by_role("cell").last).to_have_text("400ppm")
    expect(page.get_by_role("status")).to_have_text("Live")
    stack.kill("broadcaster")
    module.sample("co2", 410)
    forget(name, 410)
    stack.launch("broadcaster")
    stack.wait_ready()
    expect(page.get_by_role("status")).to_have_text("Live", timeout=40_000)
    expect(page.get_by_text(re.compile("^1 gap|gaps$"))).to_be_visible()
    expect(page.locator("#missed-list")).to_contain_text(re.compile(r"^[\d:]+( [AP]M)? · the server no longer holds"))
    module.sample("co2", 420)
    expect(row(page, name, "CO₂").get_by_role("cell").last).to_have_text("420ppm")
    assert row(page, name, "CO₂").locator("canvas").evaluate(INK)["missing"] > 5
