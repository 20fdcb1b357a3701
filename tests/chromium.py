"""A tab of a headless Chromium, spoken to by its debugging protocol; needs `websocket-client`."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deadly import PATIENCE

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
MISSING = f"no Chromium found (looked for {', '.join(NAMES)})"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
    "--disable-dev-shm-usage",
)


@contextmanager
def chromium(profile: Path) -> Iterator[int]:
    """A browser of its own with a new profile; gives the port it listens at."""
    process = subprocess.Popen(
        [
            *(str(BROWSER), *FLAGS, "--remote-debugging-port=0", "--window-size=1200,900"),
            *(f"--user-data-dir={profile}", "about:blank"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        noted = profile / "DevToolsActivePort"
        end = time.monotonic() + PATIENCE
        while not noted.exists() or not noted.read_text():
            assert time.monotonic() < end, "Chromium does not answer"
            time.sleep(0.1)
        yield int(noted.read_text().split()[0])
    finally:
        process.kill()
        process.wait()


class Page:
    """A tab; `events` gathers what it tells of itself."""

    def __init__(self, port, url):
        import websocket

        new = f"http://127.0.0.1:{port}/json/new?about:blank"
        with urllib.request.urlopen(urllib.request.Request(new, method="PUT")) as answer:
            self.about = json.load(answer)
        self.port = port
        self.socket = websocket.create_connection(
            self.about["webSocketDebuggerUrl"], suppress_origin=True, timeout=PATIENCE
        )
        self.number, self.events = 0, []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.do(f"{domain}.enable")
        self.go(url)

    def do(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            said = json.loads(self.socket.recv())
            if said.get("id") == self.number:
                assert "error" not in said, said
                return said["result"]
            self.events.append(said)

    def go(self, url):
        self.do("Page.navigate", url=url)

    def run(self, script):
        found = self.do("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, script, seconds=PATIENCE):
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end, (script, self.text())
            time.sleep(0.05)
        return found

    def text(self):
        return self.run("document.body ? document.body.innerText : ''")

    def says(self, words):
        return self.until(f"document.body?.innerText.includes({json.dumps(words)})")

    def key(self, name):
        code = {"Enter": 13, "ArrowLeft": 37, "ArrowRight": 39}.get(name, ord(name[0].upper()))
        text = {"Enter": "\r"}.get(name, name if len(name) == 1 else "")
        given = {"key": name, "windowsVirtualKeyCode": code}
        self.do("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
        self.do("Input.dispatchKeyEvent", type="keyUp", **given)

    def fetched(self):
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]

    def close(self):
        self.socket.close()
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/json/close/{self.about['id']}").read()
