"""The annotation screen as an annotator's browser runs it, served by Voila."""

import re
import secrets
import sys
import time
import urllib.request

import pytest
from chromium import BROWSER, MISSING
from served import ABSENT, EVIL, LIT, Pressed, entrance, free_port, serving, status, visiting

from llamalite.preferences.collection import left_of
from llamalite.preferences.protocol import Item, Response
from llamalite.preferences.store import PreferenceStore

SERVER = "import sys; from llamalite.preferences.annotate import serve; serve(*eval(sys.argv[1]))"

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=MISSING),
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]
TOKEN = secrets.token_urlsafe(16)


def make_item(name, guideline="helpfulness", asked="Where does Moru live?", **replies):
    given = {"a": "Moru lives in Runtown.", "b": "Go away."} | replies
    return Item(
        id=name,
        batch=1,
        guideline=guideline,
        prompt_id=name,
        kind="facts",
        is_safety=guideline == "safety",
        messages=({"role": "user", "content": asked},),
        a=Response(given["a"], version="V1"),
        b=Response(given["b"], version="SFT"),
    )


class Screen(Pressed):
    """The annotation screen in a tab."""

    def judge(self, side, rating):
        """Say both of a pair of which nothing is said yet, and go on."""
        self.until(f"{LIT} == 0")
        self.press(side, f"{LIT} == 1")
        self.press(rating, f"{LIT} == 2")
        self.key("Enter")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server over one store; its port, and the store."""
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    port = free_port()
    with serving([sys.executable, "-c", SERVER, repr((str(path), port, TOKEN))], port):
        yield port, path


@pytest.fixture
def store(served):
    """The served store with nothing open in it."""
    with PreferenceStore(served[1]) as opened:
        while (item := opened.next_item("sweeper")) is not None:
            opened.set_aside(item, "sweeper", "of another test")
        yield opened


@pytest.fixture
def visit(browser, served):
    """Opens a page of the server, with what is told behind its address."""
    with visiting(lambda query: Screen(browser, entrance(served[0], TOKEN, query))) as open_page:
        yield open_page


def test_nobody_enters_without_the_token(served, store):
    port = served[0]
    address = f"http://127.0.0.1:{port}"
    store.add_items([make_item("secret", asked="Nobody may see this.")])
    nowhere = "12345678-1234-1234-1234-123456789012"
    for path in ("/", "/?token=wrong", "/?annotator=ann", f"/voila/files/{served[1].name}"):
        assert status(address + path) in (302, 403, 404), path
    assert status(f"{address}/api/kernels/{nowhere}") in (302, 403)
    assert status(f"{address}/api/kernels/{nowhere}/channels", Upgrade="websocket") in (302, 403)
    assert status(f"{address}/voila/execution/{nowhere}") in (302, 403, 404)
    with urllib.request.urlopen(f"{address}/?token=wrong") as answer:  # the login page
        assert "Nobody may see this" not in answer.read().decode()
    assert status(f"{address}/?token={TOKEN}") == 200
    assert store.counts().held == 0


def test_a_kernel_that_is_running_takes_no_one_without_the_token(served, store, visit):
    import websocket

    page = visit("&annotator=ann")
    page.says("nothing left to judge")
    kernel = re.search(r"api/kernels/([0-9a-f-]{36})", " ".join(page.fetched()) + str(page.events))
    assert kernel
    address = f"ws://127.0.0.1:{served[0]}/api/kernels/{kernel[1]}/channels"
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(address, suppress_origin=True, timeout=20)


def test_a_pair_is_judged_by_keys_alone(store, visit):
    items = [make_item("k0", asked="First?"), make_item("k1", "safety", "Second?")]
    store.add_items(items)
    page = visit("&annotator=keys")
    page.says("First?")
    page.press("Enter", "document.body.innerText.includes('Please choose a reply first.')")
    page.key("ArrowLeft")
    page.until(f"{LIT} == 1")
    page.key("2")
    page.until(f"{LIT} == 2")
    assert page.chosen() == ["← Left is better", "2 better"]
    page.key("Enter")
    page.says("Second?")
    page.judge("ArrowRight", "4")
    page.says("Please say which replies are safe first.")
    page.key("d")
    page.until(f"{LIT} == 3")
    page.key("Enter")
    page.says("nothing left to judge")
    one, two = list(store.export())[-2:]
    assert (one.id, one.rating, one.safety_bin) == ("k0", "better", None)
    assert one.choice == one.left == left_of(items[0], "keys")
    assert (two.id, two.rating, two.safety_bin) == ("k1", "negligibly", "both unsafe")
    assert two.choice != two.left
    assert two.annotator == "keys"


def test_the_reply_on_the_left_is_the_one_on_the_left(store, visit):
    items = [make_item(f"side{i}", a=f"This is {i}a.", b=f"This is {i}b.") for i in range(4)]
    store.add_items(items)
    page = visit("&annotator=sides")
    for i, item in enumerate(items):
        page.says(f"This is {i}a.")
        seen = page.run("document.querySelector('.ll-left .ll-text').innerText")
        assert seen == f"This is {i}{left_of(item, 'sides')}."
        xs = "document.querySelector('.ll-{}').getBoundingClientRect().x"
        assert page.run(xs.format("left")) < page.run(xs.format("right"))
        assert not {"V1", "SFT"} & set(re.findall(r"\w+", page.text()))  # who wrote it is hidden
        page.judge("ArrowLeft", "1")
    page.says("nothing left to judge")
    for each in list(store.export())[-4:]:
        assert each.chosen.text == f"This is {each.id[4:]}{each.left}."


def test_undo_shows_the_last_pair_with_what_was_said(store, visit):
    store.add_items([make_item("u0", asked="Undo me?"), make_item("u1", asked="And then?")])
    page = visit("&annotator=undoer")
    page.says("Undo me?")
    page.judge("ArrowRight", "3")
    page.says("And then?")
    before = store.counts().judged
    page.press("u", "document.body.innerText.includes('Undo me?')")
    assert page.chosen() == ["Right is better →", "3 slightly better"]
    assert store.counts().judged == before - 1
    page.press("1", "document.querySelector('.ll-key-1').classList.contains('mod-primary')")
    page.press("Enter", "document.body.innerText.includes('And then?')")
    [again] = [each for each in store.export() if each.id == "u0"]
    assert again.rating == "significantly"
    page.says("undoer: 1 judged")


def test_text_from_elsewhere_is_shown_and_never_run(store, visit):
    store.add_items([make_item("evil", asked="Q " + EVIL, a="A " + EVIL, b="B " + EVIL)])
    page = visit("&annotator=%3Cimg%20src=x%20onerror=alert(1)%3E")
    page.says("A code has 1 to 64 letters")
    page.go(page.run("location.href").split("?")[0] + "?annotator=safe")
    page.says("Q <script>")
    seen = page.run("[...document.querySelectorAll('.ll-text')].map(e => e.textContent)")
    assert sorted(seen) == ["A " + EVIL, "B " + EVIL, "Q " + EVIL]
    time.sleep(0.5)
    assert page.run("window.hurt === undefined && !document.getElementById('injected')")
    assert page.run("document.querySelectorAll('.ll-text *').length") == 0


def test_two_annotators_at_once_get_different_pairs_and_a_code_can_be_typed(store, visit):
    store.add_items(
        [make_item("two0", asked="Number zero?"), make_item("two1", asked="Number one?")]
    )
    first = visit("&annotator=x1")
    first.says("Number zero?")
    second = visit()
    second.says("Please give your code")
    second.run("document.querySelector('.ll-screen input').focus()")
    second.do("Input.insertText", text="x2")
    second.press("Enter", "document.body.innerText.includes('Number one?')")
    assert "Number one?" not in first.text()
    for page in (second, first):
        page.judge("ArrowLeft", "2")
        page.says("nothing left to judge")
    assert {each.id: each.annotator for each in list(store.export())[-2:]} == {
        "two0": "x1",
        "two1": "x2",
    }


def test_a_connection_that_is_lost_loses_no_finished_judgement(store, visit):
    store.add_items([make_item(f"lost{i}", asked=f"Lost {i}?") for i in range(3)])
    page = visit("&annotator=loser")
    page.says("Lost 0?")
    page.judge("ArrowLeft", "2")
    page.says("Lost 1?")
    page.press("ArrowLeft", f"{LIT} == 1")
    page.do(
        "Network.emulateNetworkConditions",
        offline=True,
        latency=0,
        downloadThroughput=-1,
        uploadThroughput=-1,
    )
    page.go("about:blank")  # the tab dies with its half-made judgement
    assert [each.id for each in store.export() if each.annotator == "loser"] == ["lost0"]
    again = visit("&annotator=loser")
    again.says("Lost 1?")  # the same pair, kept for them
    assert again.chosen() == []
    again.says("loser: 1 judged")


def test_keys_pressed_before_the_next_pair_is_there_are_not_spent_on_it(store, visit):
    store.add_items([make_item(f"fast{i}", asked=f"Fast {i}?") for i in range(2)])
    page = visit("&annotator=fast")
    page.says("Fast 0?")
    page.run(
        "for (const key of ['ArrowLeft', '1', 'Enter', 'ArrowLeft', '1', 'Enter'])"
        " document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
    )
    page.says("Fast 1?")
    time.sleep(1)
    assert "Fast 1?" in page.text()
    assert page.chosen() == []
    assert [each.id for each in store.export() if each.annotator == "fast"] == ["fast0"]


def test_a_pair_is_set_aside_with_its_reason(store, visit):
    store.add_items([make_item("aside0", asked="Odd one?")])
    page = visit("&annotator=aside")
    page.says("Odd one?")
    press = "[...document.querySelectorAll('button')].find(b => b.innerText == 'Set aside').click()"
    page.run(press)
    page.says("Please say why")
    page.run("document.querySelector('.ll-row input').focus()")
    page.do("Input.insertText", text="2 u d")  # keys typed into a field are text
    page.run("document.activeElement.blur()")
    page.run(press)
    page.says("nothing left to judge")
    [aside] = [each for each in store.export_set_aside() if each.annotator == "aside"]
    assert (aside.item.id, aside.reason) == ("aside0", "2 u d")


def test_nothing_is_fetched_from_elsewhere_and_it_fits_a_phone(served, store, visit):
    store.add_items([make_item("phone", asked="x" * 300, a="y" * 400)])
    page = visit("&annotator=phone")
    page.says("xxx")
    own = f"//127.0.0.1:{served[0]}"
    answered = {
        event["params"]["requestId"]
        for event in page.events
        if event.get("method") == "Network.responseReceived"
    }
    strangers = [
        event["params"]["request"]["url"]
        for event in page.events
        if event.get("method") == "Network.requestWillBeSent"
        and event["params"]["requestId"] in answered
        and not event["params"]["request"]["url"].startswith(("data:", "blob:", "about:"))
        and own not in event["params"]["request"]["url"]
    ]
    assert strangers == []
    page.do(
        "Emulation.setDeviceMetricsOverride",
        width=380,
        height=800,
        deviceScaleFactor=1,
        mobile=True,
    )
    page.until("document.documentElement.clientWidth <= 400")
    page.until("document.querySelector('.ll-left').getBoundingClientRect().right <= 380")
    left, right = (
        page.run(f"document.querySelector('.ll-{side}').getBoundingClientRect().toJSON()")
        for side in ("left", "right")
    )
    assert right["top"] >= left["bottom"]  # below each other
