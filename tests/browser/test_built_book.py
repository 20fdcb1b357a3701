"""The book as it was built last: every page in a browser, on a desk and on a phone."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from chromium import BROWSER, MISSING, Page

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
PAGES = sorted(file for part in ("book", "notebooks") for file in (HTML / part).rglob("*.html"))

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=MISSING),
    pytest.mark.skipif(find_spec("websocket") is None, reason="not installed: websocket-client"),
    pytest.mark.skipif(not PAGES, reason="the book has not been built: make book"),
]

# What a reader would have to move the whole page for: it ends right of the screen, and no box
# around it scrolls or hides it.
STRAY = """(() => {
  const edge = document.documentElement.clientWidth + 1;
  const boxed = each => each && each !== document.body &&
    (getComputedStyle(each).overflowX !== "visible" || boxed(each.parentElement));
  return [...document.querySelectorAll("article *")]
    .filter(each => each.getBoundingClientRect().right > edge && !boxed(each.parentElement))
    .map(each => each.tagName + " " + each.textContent.trim().slice(0, 40)).slice(0, 3);
})()"""


@pytest.fixture(scope="module")
def tab(browser):
    page = Page(browser, "about:blank")
    yield page
    page.close()


def screen(tab, width, height, *, mobile):
    """Show pages on a screen of that many pixels."""
    size = {"width": width, "height": height}
    tab.do("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=mobile)


def turn_to(tab, file):
    """Open a page of the book, and wait until it is there."""
    tab.go(file.as_uri())
    tab.until(f"location.href == {file.as_uri()!r} && document.readyState == 'complete'")


def complaints(events):
    """What a page said in its console that a reader should never see."""
    for event in events:
        told = event.get("params", {})
        match event.get("method"):
            case "Runtime.exceptionThrown":
                details = told["exceptionDetails"]
                yield details.get("exception", {}).get("description", details["text"])
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                yield str([each.get("value", each.get("description")) for each in told["args"]])
            case "Log.entryAdded" if told["entry"]["level"] == "error":
                yield told["entry"]["text"]


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.relative_to(HTML).as_posix())
def test_a_page_complains_of_nothing_fetches_nothing_and_fits(tab, file):
    tab.events.clear()
    screen(tab, 390, 844, mobile=True)
    turn_to(tab, file)
    assert tab.run(STRAY) == []
    assert tab.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    screen(tab, 1280, 900, mobile=False)
    assert tab.run(STRAY) == []
    assert list(complaints(tab.events)) == []
    assert [url for url in tab.fetched() if url.startswith("http")] == []


def test_the_list_of_contents_follows_the_reader(tab):
    screen(tab, 1280, 900, mobile=False)
    turn_to(tab, HTML / "notebooks" / "02_1_data.html")
    tab.run("document.querySelector('#near-copies').scrollIntoView()")
    tab.until("document.querySelector('nav.page-toc a.active')?.hash == '#near-copies'")
