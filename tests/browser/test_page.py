"""The page against the running stack: what people see."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect
from seve_fleet.simulate.device import SimulatedModule
from seve_schema.times import MICROS
from support.screens import card, row

ROOT = Path(__file__).parent.parent.parent
PLACES = ["attic", "cellar", "cold-frame", "nursery", "orchard", "roof", "shed", "tunnel", "well"]
FOCUS = "document.activeElement.id || document.activeElement.name || document.activeElement.tagName"


def fleet(device, prefix):
    """Nine modules with six minutes behind them; the last one has vanished."""
    end = int(time.time() * MICROS)
    for seed, place in enumerate(PLACES):
        simulated = SimulatedModule(f"{place}-{prefix}", seed)
        module = device(simulated.name)
        for message in simulated.configs() + simulated.reports(end):
            module.client.publish(message.topic, message.payload, qos=1)
        for second in range(360, -1, -5):
            for sensor in range(5):
                sent = module.client.publish(*simulated.sample(sensor, end - second * MICROS)[0][:2], qos=1)
        sent.wait_for_publish(30)
    module.die()


def test_the_current_value_changes_as_the_device_speaks(open_page, page_url, device, name):
    """Values come with the unit of a well-known sensor, in fixed digits."""
    module = device(name)
    page = open_page(f"{page_url}?filter={name}")
    module.sample("dht22/temperature", 21.26)
    reading = row(page, name, "Temperature")
    expect(reading.get_by_role("cell").last).to_have_text("21.3°C")
    expect(reading).to_contain_text("dht22")
    module.sample("dht22/temperature", 23)
    expect(reading.get_by_role("cell").last).to_have_text("23.0°C")
    expect(card(page, name)).to_contain_text("heard just now")


def test_null_is_a_dash_and_an_unknown_sensor_has_no_unit(open_page, page_url, device, name):
    """Nothing is made up."""
    module = device(name)
    page = open_page(f"{page_url}?filter={name}")
    module.sample("co2", "")
    module.sample("frobnication", 12.5)
    expect(row(page, name, "CO₂").get_by_role("cell").last).to_have_text("\N{EN DASH}")
    expect(row(page, name, "frobnication").get_by_role("cell").last).to_have_text("12.5")


def test_a_module_that_vanishes_goes_offline_and_comes_back(open_page, page_url, device, name):
    """The last will shows on the card, in the counts and to screen readers; the birth message undoes it."""
    module = device(name)
    module.sample("co2", 400)
    page = open_page(f"{page_url}?filter={name}")
    expect(card(page, name)).to_contain_text("online")
    module.die()
    expect(card(page, name)).to_contain_text("offline")
    page.get_by_role("radio", name="Offline").check()
    expect(card(page, name)).to_be_visible()
    expect(page.get_by_role("log")).to_have_text(re.compile("is offline|changed presence"))
    device(name)
    expect(card(page, name)).not_to_be_visible()
    page.get_by_role("radio", name="All").check()
    expect(card(page, name)).to_contain_text("online")


def test_the_filter_finds_modules_and_sensors(open_page, page_url, device, name):
    """Words of a module's name or of what it measures; all of them must match."""
    one, two = device(f"{name}-one"), device(f"{name}-two")
    one.sample("co2", 400)
    two.sample("humidity", 60)
    page = open_page(f"{page_url}?filter={name}")
    expect(card(page, one.name)).to_be_visible()
    expect(card(page, two.name)).to_be_visible()
    box = page.get_by_role("searchbox")
    box.fill(f"{name} humid")
    expect(card(page, two.name)).to_be_visible()
    expect(card(page, one.name)).not_to_be_visible()
    box.fill(f"{name} nothing")
    expect(page.get_by_text("No module matches the filter.")).to_be_visible()
    box.fill(two.name)
    page.reload()
    expect(box).to_have_value(two.name)
    expect(card(page, two.name)).to_be_visible()
    expect(card(page, one.name)).not_to_be_visible()


def test_pause_holds_the_picture_and_resume_shows_what_came(open_page, page_url, device, name):
    """While paused nothing moves, nothing is lost, and the page says what waits."""
    module = device(name)
    module.sample("co2", 400)
    page = open_page(f"{page_url}?filter={name}")
    reading = row(page, name, "CO₂").get_by_role("cell").last
    expect(reading).to_have_text("400ppm")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_have_text("Paused")
    module.sample("co2", 500)
    expect(page.locator("#rate")).to_have_text(re.compile(r"^[1-9][0-9,]* messages? since the pause$"))
    expect(reading).to_have_text("400ppm")
    page.get_by_role("button", name="Resume").click()
    expect(reading).to_have_text("500ppm")
    expect(page.get_by_role("status")).to_have_text("Live")


def test_messages_skipped_by_a_slow_page_are_shown(chromium, page_url, device, name):
    """The server's `skipped` is put between its frames: a browser cannot be made slow at will."""
    device(name).sample("co2", 400)
    page = chromium.new_page(locale="en-GB")
    sockets = []

    def between(socket):
        socket.connect_to_server()  # which forwards both ways
        sockets.append(socket)

    page.route_web_socket("**/ws", between)
    page.goto(f"{page_url}?filter={name}")
    expect(page.get_by_role("status")).to_have_text("Live")
    for count in (320, 1000):
        sockets[0].send(json.dumps({"event": "skipped", "from": "a", "to": "b", "count": count}))
    expect(page.get_by_text("1,320 messages skipped")).to_be_visible()
    page.get_by_text("1,320 messages skipped").click()
    expect(page.get_by_role("listitem").filter(has_text="1,000 skipped")).to_be_visible()
    page.close()


def test_hostile_names_are_shown_and_do_nothing(open_page, page_url, journal, name):
    """Markup is text, marks that turn writing round are made visible, long names do not widen the page."""
    hostile = f"{name}<img src=x onerror=document.title='broken'>\u202e" + "long" * 15
    journal(hostile, "measurement", sensorType="<b>x", value=1)
    page = open_page(page_url, width=390)
    shown = page.get_by_role("article", name=f"Module {name}<img")
    expect(shown).to_be_visible()
    expect(shown.get_by_role("heading")).to_contain_text("⟨202E⟩")
    shown.get_by_text("Device").click()
    journal(hostile, "log", metadata={"level": "<i>", "msg": "<script>document.title=1</script>"})
    expect(shown).to_contain_text("<script>document.title=1</script>")
    assert page.title() == "Sève"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_device_tells_of_itself(open_page, page_url, device, name):
    """Address, chip, heap and flaws of sensors, from the kinds that carry them."""
    module = device(name)
    module.sample("co2", 400)
    module.say("system/config", {"ip": "192.168.1.7", "mac": "AA:BB:CC:DD:EE:FF"})
    module.say("system", {"rssi": -61, "memory": {"heapFreeKb": 123, "heapMinFreeKb": 45}})
    module.say("hardware/config", {"chip": {"model": "ESP32", "cpuFreqMhz": 240}})
    module.say("sensors/status", {"co2": {"status": "warming up", "value": None}})
    page = open_page(f"{page_url}?filter={name}")
    expect(row(page, name, "CO₂")).to_contain_text("warming up")
    card(page, name).get_by_text("Device").click()
    for text in ("192.168.1.7", "AA:BB:CC:DD:EE:FF", "-61 dBm", "123 KiB", "ESP32", "240 MHz"):
        expect(card(page, name)).to_contain_text(text)


def test_light_and_dark_follow_the_system_and_can_be_chosen(open_page, page_url):
    """The choice is remembered."""
    page = open_page(page_url, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    body = page.locator("body")
    page.emulate_media(color_scheme="light")
    expect(body).not_to_have_css("background-color", dark)
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    expect(body).to_have_css("background-color", dark)
    page.get_by_role("button", name="Theme: automatic").click()
    assert page.evaluate(ground) == light
    page.reload()
    expect(page.get_by_role("button", name="Theme: light")).to_be_visible()
    assert page.evaluate(ground) == light
    page.get_by_role("button", name="Theme: light").click()
    assert page.evaluate(ground) == dark


def test_the_keyboard_reaches_everything_in_the_order_of_reading(open_page, page_url, device, name):
    """Skip link, buttons, filter, presence, a module's charts and its device."""
    module = device(name)
    module.sample("co2", 400)
    page = open_page(f"{page_url}?filter={name}")
    expect(card(page, name)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the modules")).to_be_focused()
    page.get_by_role("searchbox").fill(name)
    page.get_by_role("heading", level=1).click()
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUS))
    assert reached == ["pause", "theme", "filter", "presence", "A", "SUMMARY"]
    page.keyboard.press("Enter")
    expect(card(page, name)).to_contain_text("has said nothing of itself")


def test_only_what_is_in_sight_is_painted(open_page, page_url, device, name):
    """A card far below the window has no picture yet; scrolled to, it has."""
    module = device(name)
    for number in range(40):
        module.client.publish(f"{name}-{number:02d}/co2", '{"value": 400}', qos=1).wait_for_publish(10)
    page = open_page(page_url, width=390, height=700)
    page.get_by_role("searchbox").fill(name)
    last = card(page, f"{name}-39")
    expect(card(page, f"{name}-00").locator(".number").first).to_have_text("400")
    expect(last).to_be_attached()
    assert last.locator(".number").count() == 0
    last.scroll_into_view_if_needed()
    expect(last.locator(".number").first).to_have_text("400")


def test_the_policy_for_content_forbids_what_the_page_does_not_need(page_url):
    """Nothing inline and nothing from elsewhere runs here."""
    with urllib.request.urlopen(page_url) as answer:
        policy, text = answer.headers["Content-Security-Policy"], answer.read().decode()
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"\son\w+=|\sstyle=|<style|<script>|https?://", text) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["desktop", "phone"])
def test_pictures_of_the_page(open_page, page_url, device, scheme, kind):
    """The page with a small fleet on it, to be looked at; it fits the width it is given."""
    width, height = {"desktop": (1360, 850), "phone": (390, 844)}[kind]
    page = open_page(page_url, width=width, height=height, color_scheme=scheme)
    fleet(device, f"{scheme}-{kind}")
    page.get_by_role("searchbox").fill(f"{scheme}-{kind}")
    expect(page.locator(".module:visible")).to_have_count(9)
    expect(page.get_by_role("radio", name=re.compile(r"Offline [1-9]"))).to_be_attached()
    expect(page.locator("#span")).to_have_text(re.compile("^Trends: last ([6-9]|10) min$"))
    expect(page.locator("#rate")).not_to_be_empty()
    page.get_by_role("heading", level=1).click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(path=ROOT / f"screenshots/{kind}-{scheme}.png")


def test_problems_stand_on_top_and_offline_modules_last(open_page, page_url, device, name):
    """Whatever their names; a card moves when its module changes."""
    modules = {letter: device(f"{letter}-{name}") for letter in "abc"}
    for module in modules.values():
        module.sample("co2", 450)
    page = open_page(f"{page_url}?filter={name}")
    shown = page.locator(".module:visible .name")
    expect(shown).to_have_text([f"{letter}-{name}" for letter in "abc"])
    modules["c"].say("sensors/status", {"co2": {"status": "error"}})
    modules["a"].die()
    expect(shown).to_have_text([f"{letter}-{name}" for letter in "cba"])


def test_a_module_that_never_spoke_of_its_presence_is_seen(open_page, page_url, journal, name):
    """It sends, and no more is known: "online" is what a device says of itself."""
    page = open_page(f"{page_url}?filter={name}")
    journal(name, "measurement", sensorType="co2", value=450)
    expect(card(page, name).locator(".word")).to_have_text("seen")
    journal(name, "presence", metadata={"status": "online"})
    expect(card(page, name).locator(".word")).to_have_text("online")
