"""Screens served by Voila, and the browsers of those who use them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib.util import find_spec

from chromium import Page
from deadly import PATIENCE

NEEDED = ("voila", "ipywidgets", "websocket")
ABSENT = [name for name in NEEDED if not find_spec(name)]
EVIL = (
    "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 2'>"
    "</div><b id=injected>bold</b> $x^2$ &lt;i&gt; \u202edesrever {{7*7}} `code`"
)
LIT = "document.querySelectorAll('.ll-screen button.mod-primary').length"
"""Number of buttons that say what was chosen."""


class Pressed(Page):
    """A screen in a tab, and its keys."""

    def chosen(self):
        """The labels of the buttons that are lit."""
        return self.run(
            "[...document.querySelectorAll('.ll-screen button.mod-primary')]"
            ".map(button => button.innerText)"
        )

    def press(self, key, script):
        """Press a key until the script is true: a page shows a pair a moment before it listens."""
        end = time.monotonic() + PATIENCE
        while not self.run(script):
            assert time.monotonic() < end, (key, script, self.text())
            self.key(key)
            time.sleep(0.5)


@contextmanager
def visiting(open_tab):
    """Gives what opens pages by `open_tab(query)`, and closes them all in the end."""
    pages = []

    def open_page(query=""):
        pages.append(open_tab(query))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


def entrance(port, token, query=""):
    """Of a served screen, as its server tells it."""
    return f"http://127.0.0.1:{port}/?token={token}{query}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(command, port):
    """A server that is there while it is used."""
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/login", timeout=5).read()
            break
        except (urllib.error.URLError, TimeoutError):
            assert process.poll() is None, process.stdout.read()
            assert time.monotonic() < end
            time.sleep(0.2)
    yield
    process.terminate()
    process.wait(30)


def status(url, **headers):
    """What a request without a cookie is answered by; redirections are not followed."""
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.build_opener(Stay).open(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None
