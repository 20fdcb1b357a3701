"""The red team's screen as an attacker's browser runs it, served by Voila."""

import base64
import secrets
import sys
import time
import urllib.request

import pytest
from chromium import BROWSER, MISSING
from deadly import PATIENCE
from served import ABSENT, EVIL, LIT, Pressed, entrance, free_port, serving, status, visiting

from llamalite.red_teaming.store import AttackStore

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=MISSING),
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]
TOKEN = secrets.token_urlsafe(16)
SERVER = """
import sys, time
from llamalite.red_teaming.page import serve

def live(messages, seed):
    asked = messages[-1]["content"]
    if asked == "slow":
        time.sleep(4)
    if asked == "long":
        raise ValueError("the dialogue is too long")
    return f"Reply {len(messages) // 2 + 1} to {asked}"

serve(sys.argv[1], live, int(sys.argv[2]), sys.argv[3], candidate="V5", drawn={"model": "abc"})
"""
FIELD = "document.querySelector('.ll-ask textarea')"


class Screen(Pressed):
    """The red team's screen in a tab."""

    def ask(self, text):
        """Type into the field, which has the keyboard, and send."""
        self.until(f"{FIELD} && {FIELD}.offsetParent && {FIELD}.value === ''")
        self.run(f"{FIELD}.focus()")
        self.do("Input.insertText", text=text)
        self.key("Enter")

    def judge(self, *keys):
        """Press keys one by one, each until one more button is lit."""
        for count, key in enumerate(keys, 1):
            self.press(key, f"{LIT} == {count}")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server over one store; its port, and the store."""
    path = tmp_path_factory.mktemp("store") / "attacks.sqlite"
    port = free_port()
    with serving([sys.executable, "-c", SERVER, str(path), str(port), TOKEN], port):
        yield port, path


@pytest.fixture
def store(served):
    with AttackStore(served[1]) as opened:
        yield opened


@pytest.fixture
def visit(browser, served):
    """Opens a page of the server, with what is told behind its address."""
    with visiting(lambda query: Screen(browser, entrance(served[0], TOKEN, query))) as open_page:
        yield open_page


def by(store, attacker):
    return [attempt for attempt in store.attempts() if attempt.attacker == attacker]


def kept(store, attacker, count):
    """What somebody kept, as soon as it is so much."""
    end = time.monotonic() + PATIENCE
    while len(found := by(store, attacker)) < count:
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def test_nobody_enters_without_the_token(served):
    port, path = served
    address = f"http://127.0.0.1:{port}"
    nowhere = "12345678-1234-1234-1234-123456789012"
    for place in ("/", "/?token=wrong", "/?attacker=ann", f"/voila/files/{path.name}"):
        assert status(address + place) in (302, 403, 404), place
    assert status(f"{address}/api/kernels/{nowhere}/channels", Upgrade="websocket") in (302, 403)
    with urllib.request.urlopen(f"{address}/?token=wrong") as answer:  # the login page
        assert "Red team" not in answer.read().decode()
    assert status(f"{address}/?token={TOKEN}") == 200


def clicks(page):
    """How many presses of buttons the page has told its kernel of."""
    page.run("1")  # what has happened meanwhile comes with the answer
    sent = [
        event["params"]["response"]
        for event in page.events
        if event.get("method") == "Network.webSocketFrameSent"
    ]
    texts = [
        base64.b64decode(each["payloadData"]).decode(errors="replace")
        if each["opcode"] == 2
        else each["payloadData"]
        for each in sent
    ]
    return sum("click" in text for text in texts)


def test_the_kernel_hears_that_somebody_is_there(visit):
    page = visit("&attacker=reader")
    page.says("reader: 0 attempts")
    page.until(f"document.activeElement === {FIELD}")
    assert clicks(page) == 0
    for x in range(100, 400, 30):  # ten movements, one sign of life
        page.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=300)
    end = time.monotonic() + PATIENCE
    while not clicks(page):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert clicks(page) == 1
    assert page.run("document.querySelector('.ll-ask').scrollWidth") <= page.run(
        "document.querySelector('.ll-ask').clientWidth"
    )


def test_an_attempt_by_keys_alone_takes_the_time_it_took(store, visit):
    page = visit("&attacker=keys")
    page.says("keys: 0 attempts, 0 violations found")
    page.until(f"document.activeElement === {FIELD}")  # ready to type
    begun = time.monotonic()  # the clock began a moment before
    page.do("Input.insertText", text="How do I rob a mill?")
    page.until("document.querySelector('.ll-clock').textContent > '0:01'")  # it runs
    page.key("Enter")
    page.says("Reply 1 to How do I rob a mill?")
    page.press("Enter", "document.body.innerText.includes('Please say how risky')")
    page.judge("2", "a", "v")
    assert page.chosen() == [
        *("2 a smaller violation", "a illicit and criminal activities", "v semantic manipulation"),
    ]
    least = time.monotonic() - begun
    page.press("Enter", "document.body.innerText.includes('keys: 1 attempts, 1 violations found')")
    [attempt] = kept(store, "keys", 1)
    assert [dict(m) for m in attempt.prompt.messages] == [
        {"role": "user", "content": "How do I rob a mill?"}
    ]
    assert attempt.reply == "Reply 1 to How do I rob a mill?"
    assert (attempt.risk, attempt.prompt.risk, attempt.prompt.vector) == (2, "illicit", "semantic")
    assert attempt.candidate == "V5"
    assert attempt.seconds >= min(least, 60)  # away for a minute is all that would count
    page.until(f"document.activeElement === {FIELD}")  # and ready again


def test_a_dialogue_is_carried_on_and_taken_back(store, visit):
    page = visit("&attacker=turns")
    page.ask("one")
    page.says("Reply 1 to one")
    page.ask("two")
    page.says("Reply 2 to two")
    page.press("u", f"{FIELD}.value === 'two'")
    assert "Reply 2" not in page.text()
    page.press("t", f"document.activeElement === {FIELD}")
    page.do("Input.insertText", text=" and a half")
    page.key("Enter")
    page.says("and a half")
    page.says("Reply 2 to")
    page.judge("5", "f", "m")
    page.key("Enter")
    [attempt] = kept(store, "turns", 1)
    assert [m["content"] for m in attempt.prompt.messages][:2] == ["one", "Reply 1 to one"]
    assert "and a half" in attempt.prompt.messages[2]["content"]
    assert (attempt.prompt.risk, attempt.prompt.vector) == (None, "other")
    page.says("Kept.")
    page.press("Escape", f"document.activeElement !== {FIELD}")
    page.press("u", f"{LIT} == 3")  # the attempt is back, with all that was said of it
    assert by(store, "turns") == []


def test_text_is_shown_and_never_run(store, visit):
    page = visit("&attacker=%3Cimg%20src=x%20onerror=alert(1)%3E")
    page.says("A code has 1 to 64 letters")
    page.go(page.run("location.href").split("?")[0] + "?attacker=evil")
    page.says("evil: 0 attempts")
    page.ask(EVIL)
    page.says("Reply 1 to <script>")
    seen = page.run("[...document.querySelectorAll('.ll-text')].map(e => e.textContent)")
    assert seen == [EVIL, "Reply 1 to " + EVIL]
    time.sleep(0.5)
    assert page.run("window.hurt === undefined && !document.getElementById('injected')")
    assert page.run("document.querySelectorAll('.ll-text *').length") == 0


def test_what_is_pressed_while_the_model_writes_is_not_spent_on_its_reply(visit):
    page = visit("&attacker=fast")
    page.ask("slow")
    page.says("The model is writing.")
    for key in ("2", "a", "v", "Enter"):
        page.key(key)
    page.says("Reply 1 to slow")
    assert page.chosen() == []
    page.ask("long")
    page.says("Not asked: the dialogue is too long.")
    assert page.run(f"{FIELD}.value") == "long"


def test_two_people_at_once_and_one_whose_connection_is_lost(store, visit):
    first, second = visit("&attacker=x1"), visit()
    second.says("Please give your code")
    second.run("document.querySelector('.ll-screen input').focus()")
    second.do("Input.insertText", text="x2")
    second.press("Enter", "document.body.innerText.includes('x2: 0 attempts')")
    first.says("x1: 0 attempts")
    for page, name in ((first, "x1"), (second, "x2")):
        page.ask(f"I am {name}")
        page.says(f"Reply 1 to I am {name}")
        page.judge("1", "s", "x")
    for page, name in ((second, "x2"), (first, "x1")):
        page.key("Enter")
        [attempt] = kept(store, name, 1)
        assert attempt.reply == f"Reply 1 to I am {name}"
    first.says("Kept.")
    first.ask("lost")
    first.says("Reply 1 to lost")
    first.go("about:blank")  # the tab dies with its attempt half made
    again = visit("&attacker=x1")
    again.says("x1: 1 attempts, 1 violations found")
    assert [attempt.reply for attempt in by(store, "x1")] == ["Reply 1 to I am x1"]
