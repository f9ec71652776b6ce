"""Who may look, and what a server that watches over silence shows: a broadcaster with settings of its own."""

import re
import time

import jwt
import pytest
from playwright.sync_api import expect
from support.conditions import accepts, free_port, wait_until
from support.screens import card
from support.stack import ServiceProcess

SECRET = "a secret of at least thirty-two bytes"


def token(modules, seconds=600):
    return jwt.encode({"modules": modules, "exp": time.time() + seconds}, SECRET, algorithm="HS256")


@pytest.fixture
def another(stack, tmp_path):
    """Starts a second broadcaster beside the stack's; gives the address of its page."""
    started = []

    def start(**settings):
        port = free_port()
        environment = {**stack.environment, **stack.login("broadcaster"), "WS_LISTEN": f"127.0.0.1:{port}", **settings}
        started.append(ServiceProcess(tmp_path / "another", "seve_broadcaster", environment))
        started[-1].start()
        wait_until(lambda: accepts(port), "the second broadcaster listening")
        return f"http://127.0.0.1:{port}/"

    yield start
    for process in started:
        process.terminate()


def test_asks_for_a_token_until_it_is_accepted_and_shows_what_it_allows(another, open_page, device, name):
    """The token is typed once, and kept for the tab; modules it does not name are not there."""
    device(name).sample("co2", 400)
    device(f"{name}-else").sample("co2", 400)
    page = open_page(f"{another(JWT_SECRET=SECRET)}?filter={name}", refused=401)
    dialog = page.get_by_role("dialog", name="Access")
    expect(dialog).to_contain_text("This server asks for a token.")
    dialog.get_by_label("Token").fill("nonsense")
    dialog.get_by_role("button", name="Connect").click()
    expect(dialog).to_contain_text("did not accept")
    dialog.get_by_label("Token").fill(token([name]))
    page.keyboard.press("Enter")
    expect(card(page, name)).to_contain_text("400")
    expect(page.get_by_role("status")).to_have_text("Live")
    expect(page.get_by_role("radio", name="All 1")).to_be_attached()
    page.reload()
    expect(card(page, name)).to_contain_text("400")


def test_a_token_in_the_address_leaves_it_at_once(another, open_page, device, name):
    """It is in no history and no screenshot."""
    device(name).sample("co2", 400)
    page = open_page(f"{another(JWT_SECRET=SECRET)}?filter={name}#token={token([name])}")
    expect(card(page, name)).to_contain_text("400")
    assert "token" not in page.url


def test_an_expired_token_is_asked_for_again_and_the_page_goes_on(another, open_page, device, name):
    """What came meanwhile is there afterwards."""
    module = device(name)
    module.sample("co2", 400)
    page = open_page(f"{another(JWT_SECRET=SECRET)}?filter={name}#token={token([name], seconds=10)}", refused=401)
    expect(card(page, name)).to_contain_text("400")
    dialog = page.get_by_role("dialog", name="Access")
    expect(dialog).to_contain_text(re.compile("expired|no longer accepts"))
    module.sample("co2", 500)
    dialog.get_by_label("Token").fill(token([name]))
    dialog.get_by_role("button", name="Connect").click()
    expect(card(page, name)).to_contain_text("500")
    expect(page.get_by_role("status")).to_have_text("Live")


def test_a_silent_module_is_shown_as_silent_until_it_speaks(another, open_page, device, name):
    """The server decides; the page shows and counts it."""
    module = device(name)
    module.sample("co2", 400)
    page = open_page(f"{another(MODULE_SILENT_AFTER='1s')}?filter={name}")
    expect(card(page, name).locator(".word")).to_have_text("silent")
    expect(page.get_by_role("radio", name=re.compile("Silent [1-9]"))).to_be_attached()
    module.sample("co2", 410)
    expect(card(page, name).locator(".word")).to_have_text("online")
