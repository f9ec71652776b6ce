"""The page of one module against the running stack: what was recorded and what comes, in one chart."""

import csv
import io
import re
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect
from support.conditions import wait_until
from support.screens import INK, card


@pytest.fixture
def recorded(stack, device, name):
    """A module with an hour behind it, a sample every 30 s and none for ten minutes in the middle, all stored."""
    module = device(name)
    now = time.time()
    ages = [age for age in range(0, 3540, 30) if not 1500 < age < 2100]
    for age in ages:
        module.sample("dht22/temperature", 20 + age / 1000, now - age)
    count = f"SELECT count(*) FROM measurements WHERE module_id = '{name}'"
    wait_until(lambda: stack.query(count) == [(len(ages),)], "all of it stored")
    return module


def chart(page, label):
    return page.get_by_role("slider", name=label)


def reading(page, label):
    return chart(page, label).get_attribute("aria-valuetext")


def stretch(page):
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def test_a_module_opens_into_a_chart_for_each_series(open_page, page_url, recorded):
    """From the fleet's page, by the module's name; the newest value stands above the chart."""
    page = open_page(f"{page_url}?filter={recorded.name}")
    card(page, recorded.name).get_by_role("link", name=recorded.name).click()
    expect(page.get_by_role("heading", name=recorded.name)).to_be_visible()
    expect(chart(page, "Temperature, dht22")).to_have_attribute("aria-valuetext", re.compile(r"^20\.0 °C"))
    expect(page.locator("#connection-text")).to_have_text("Live")


def test_what_comes_is_drawn_behind_what_was_recorded(open_page, page_url, recorded):
    """Once, and at once; a series that is new gets a chart of its own."""
    page = open_page(f"{page_url}module.html?module={recorded.name}&last=1h")
    expect(page.locator("#connection-text")).to_have_text("Live")
    recorded.sample("dht22/temperature", 25.5)
    expect(chart(page, "Temperature, dht22")).to_have_attribute("aria-valuetext", re.compile(r"^25\.5 °C"))
    recorded.sample("co2", 417)
    expect(chart(page, "CO₂")).to_have_attribute("aria-valuetext", re.compile(r"^417 ppm"))


def test_a_silence_is_a_gap(open_page, page_url, recorded):
    """Ten minutes without a sample are not bridged by a line."""
    page = open_page(f"{page_url}module.html?module={recorded.name}&last=1h")
    expect(page.locator("#connection-text")).to_have_text("Live")
    chart(page, "Temperature, dht22").evaluate(
        """() => {
          for (const name of ["--faint", "--muted", "--ink"]) document.body.style.setProperty(name, "transparent");
          document.dispatchEvent(new Event("themechange"));
        }"""
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    drawn = chart(page, "Temperature, dht22").evaluate(INK)
    assert 0.1 < drawn["missing"] / drawn["drawn"] < 0.3


def test_a_stretch_is_chosen_by_drawing_over_it(open_page, page_url, recorded):
    """The address then names it, so that it can be shared; back returns."""
    page = open_page(f"{page_url}module.html?module={recorded.name}&last=1h")
    expect(page.locator("#connection-text")).to_have_text("Live")
    box = chart(page, "Temperature, dht22").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("from="))
    expect(page.get_by_role("radio", name="Hour")).not_to_be_checked()
    shown = stretch(page)
    assert shown["module"] == recorded.name
    page.reload()
    expect(chart(page, "Temperature, dht22")).to_be_visible()
    assert stretch(page) == shown
    page.go_back()
    expect(page).to_have_url(re.compile("last=1h"))
    expect(page.get_by_role("radio", name="Hour")).to_be_checked()


def test_values_are_read_by_keyboard(open_page, page_url, recorded):
    """Arrows walk from sample to sample, also for who sees no chart; + looks closer."""
    page = open_page(f"{page_url}module.html?module={recorded.name}&last=1h")
    slider = chart(page, "Temperature, dht22")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^20\.0 °C"))
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^20\.1 °C"))
    slider.press("Escape")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^20\.0 °C"))
    slider.press("+")
    expect(page).to_have_url(re.compile("from="))


def test_what_is_shown_is_saved_as_csv(open_page, page_url, recorded):
    """Every sample of the stretch, and nothing else."""
    page = open_page(f"{page_url}module.html?module={recorded.name}&last=1h")
    expect(chart(page, "Temperature, dht22")).to_have_attribute("aria-valuetext", re.compile(r"^20\.0 °C"))
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text("utf-8"))))
    assert {row["module"] for row in rows} == {recorded.name}
    assert len(rows) == 99
    assert float(rows[-1]["average"]) == pytest.approx(20)


def test_a_history_that_is_away_is_told_and_asked_again(open_page, page_url, recorded):
    """In the server's words; the chart comes when the answer does."""
    page = open_page(f"{page_url}icon.svg", refused=503)
    away = [True]

    def answer(route):
        if away:
            away.pop()
            route.fulfill(status=503, body="the database is away\n", content_type="text/plain")
        else:
            route.continue_()

    page.route("**/api/history*", answer)
    page.goto(f"{page_url}module.html?module={recorded.name}&last=1h")
    expect(page.get_by_role("alert")).to_have_text("the database is away")
    expect(chart(page, "Temperature, dht22")).to_be_visible()
    expect(page.get_by_role("alert")).not_to_be_visible()


def test_a_name_is_never_markup(open_page, page_url, journal, name):
    """Neither in the heading, nor in a chart, nor in the address."""
    module = f"{name}<img src=x onerror=alert(1)>"
    page = open_page(f"{page_url}module.html?module={module.replace('<', '%3C').replace('>', '%3E')}")
    expect(page.locator("#connection-text")).to_have_text("Live")
    journal(module, "measurement", sensorType="<b>x</b>", value=1)
    expect(page.get_by_role("heading", name="<b>x</b>")).to_be_visible()
    expect(page.get_by_role("heading", name=module)).to_be_visible()
    assert page.locator("img, b").count() == 0


def test_the_log_is_searched(open_page, page_url, stack, device, name):
    """By text, in either case, in the stretch of time that is shown; markup is text."""
    module = device(name)
    for message in ("started", "the <b>Pump</b> is slow", "stopped"):
        module.say("logs", {"level": "warn", "msg": message})
    lines = f"SELECT count(*) FROM device_logs WHERE module_id = '{name}'"
    wait_until(lambda: stack.query(lines) == [(3,)], "all lines stored")
    page = open_page(f"{page_url}module.html?module={name}")
    page.locator("summary", has_text="Log").click()
    expect(page.locator("#log-lines li")).to_have_count(3)
    page.get_by_label("Text of the lines").fill("pump")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#log-lines li")).to_have_count(1)
    expect(page.locator("#log-lines")).to_contain_text("warn the <b>Pump</b> is slow")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_fits(open_page, page_url, recorded, width, scheme):
    """Nothing is cut off, wide or narrow, light or dark."""
    page = open_page(f"{page_url}module.html?module={recorded.name}", width=width, color_scheme=scheme)
    expect(chart(page, "Temperature, dht22")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
