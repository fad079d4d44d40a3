"""The portal in a real browser: what only one can tell."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from app.domain import users
from tests.browser import HOST, browser
from tests.server import LiveServer
from tests.steps import PASSWORD, Steps
from tests.test_migrations import new_database, opened

WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
EMAIL = "ada@example.com"
# Texts that differ from what is behind them by less than 4.5 to 1 (WCAG 2.2, 1.4.3).
FAINT = """
(() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => colour.slice(0, 3).map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const faint = [];
  for (const node of document.querySelectorAll('body *:not(svg *)')) {
    if (![...node.childNodes].some(child => child.nodeType === Node.TEXT_NODE && child.data.trim())) continue;
    let opacity = 1, back = null;
    for (let at = node; at; at = at.parentElement) {
      const style = getComputedStyle(at), colour = numbers(style.backgroundColor);
      opacity *= style.opacity;
      if (back === null && colour[3] !== 0) back = colour;
    }
    const front = numbers(getComputedStyle(node).color).map((v, at) => v * opacity + back[at] * (1 - opacity));
    const [low, high] = [luminance(back), luminance(front)].sort((a, b) => a - b);
    if ((high + .05) / (low + .05) < 4.5) faint.push(node.outerHTML.slice(0, 200));
  }
  return faint;
})()
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture(scope="module")
def url(tab, tmp_path_factory):  # noqa: ARG001 - without a browser nothing needs to be served
    """A server with an administrator, who has called it."""
    folder = tmp_path_factory.mktemp("portal")
    with (
        new_database("sqlite", folder) as database_url,
        LiveServer(database_url, folder, USAGE_FLUSH_SECONDS="0.1") as server,
        httpx2.Client(base_url=server.url) as client,
    ):
        Steps(client).person(EMAIL)
        client.get("/v1/posts", headers={"User-Agent": "a-product-with-quite-a-long-name-that-nobody-would-break/1.0"})
        with opened(database_url) as database, database.write() as connection:
            users.promote(connection, EMAIL)
        # Not the loopback's name: to a host without TLS browsers send no Fetch Metadata, and our forms need Origin.
        yield f"http://{HOST}:{server.port}"


def looks_right(tab, path):
    """The console is silent, nothing is wider than the window, and every text can be told from what is behind it."""
    for width in WIDTHS:
        tab.resize(width, 900)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
    for scheme in SCHEMES:
        tab.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert tab.evaluate(FAINT) == [], (path, scheme)
    assert tab.complaints == [], path


def submit(tab, button, **fields):
    """Fill in a form and press its button, as its reader would."""
    with tab.loading():
        for name, value in fields.items():
            tab.evaluate(f"document.getElementById({name!r}).value = {value!r}")
        tab.evaluate(f"[...document.querySelectorAll('button')].find(one => one.textContent === {button!r}).click()")


@pytest.mark.parametrize("path", ["/", "/policy", "/portal/sign-in", "/problems/not-found"])
def test_public_pages_look_right(tab, url, path):
    """Pages for everybody fit a phone, can be read by day and by night, and load nothing that is refused."""
    tab.open(url + path)
    looks_right(tab, path)


def test_an_administrators_way(tab, url):
    """From the sign-in to a brownout and out again, by the forms alone, with a browser's own headers and cookies."""
    tab.open(f"{url}/portal/adoption")
    assert tab.evaluate("location.pathname") == "/portal/sign-in"
    submit(tab, "Sign in", email=EMAIL, password=PASSWORD)
    assert tab.evaluate("location.pathname") == "/portal/adoption"
    assert "tandem_portal" not in tab.evaluate("document.cookie")
    looks_right(tab, "/portal/adoption")
    tab.open(f"{url}/portal/brownouts")
    day = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"
    submit(tab, "Plan the brownout", starts=f"{day}T09:00", ends=f"{day}T10:00", reason="a reminder")
    assert f"{day} 09:00 to {day} 10:00 UTC" in tab.evaluate("document.body.innerText")
    looks_right(tab, "/portal/brownouts")
    submit(tab, "Stop all brownouts")
    assert "Brownouts are stopped" in tab.evaluate("document.body.innerText")
    looks_right(tab, "/portal/brownouts?done=stopped")
    submit(tab, "Sign out")
    assert tab.evaluate("location.pathname") == "/portal/sign-in"
    tab.open(f"{url}/portal/adoption")
    assert tab.evaluate("location.pathname") == "/portal/sign-in"
