"""A dataset of the hub's form whose files lie on a server that can go away in the middle of one."""

from __future__ import annotations

import io
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pyarrow as pa
import pyarrow.parquet as pq

_CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n"


class Far:
    """The server: `files` by path, and after how many bytes it goes away (None: it stays)."""

    def __init__(self, files):
        self.files, self.left = files, None
        self.sent = Counter()
        """Bytes sent of each file."""
        far = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_HEAD(self):
                self.answer(b"")

            def do_GET(self):
                content = far.files[self.path]
                wanted = self.headers.get("Range", "bytes=0-").removeprefix("bytes=")
                first, last = wanted.split("-")
                self.answer(content[int(first) : int(last or len(content)) + 1], int(first))

            def answer(self, part, first=0):
                whole = len(far.files[self.path])
                self.send_response(206 if "Range" in self.headers else 200)
                self.send_header("Accept-Ranges", "bytes")
                size = whole if self.command == "HEAD" else len(part)
                self.send_header("Content-Length", str(size))
                if "Range" in self.headers:
                    last = first + len(part) - 1
                    self.send_header("Content-Range", f"bytes {first}-{last}/{whole}")
                self.end_headers()
                if "Range" in self.headers:  # without, it is asked only to look at the head
                    if far.left is not None:
                        part, far.left = part[: far.left], far.left - len(part[: far.left])
                    far.sent[self.path] += len(part)
                self.wfile.write(part)
                if len(part) < size:  # in the middle of what it promised
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_):
                """A client that hangs up is no news."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def far_dataset(folder, texts, monkeypatch):
    """(where a config finds it, the server); a Parquet file for each list of texts, ten rows each.

    The files are asked for in small pieces, and a lost connection is not tried again for long.
    """
    import datasets
    from fsspec.implementations import http

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)  # the server is on this machine
    monkeypatch.setattr(datasets.config, "STREAMING_READ_MAX_RETRIES", 2)
    monkeypatch.setattr(datasets.config, "STREAMING_READ_RETRY_INTERVAL", 0)
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)
    monkeypatch.setattr(http, "DEFAULT_BLOCK_SIZE", 2000)
    http.HTTPFileSystem.clear_instance_cache()
    files = {}
    for number, part in enumerate(texts):
        content = io.BytesIO()
        pq.write_table(pa.table({"text": part}), content, row_group_size=10, compression="none")
        files[f"/{number}.parquet"] = content.getvalue()
    far = Far(files)
    thread = threading.Thread(target=far.server.serve_forever, daemon=True)
    thread.start()
    folder.mkdir(parents=True)
    lines = "".join(f"  - {far.url}{path}\n" for path in files)
    (folder / "README.md").write_text(_CARD.format(files=lines))
    try:
        yield f"hub:{folder}", far
    finally:
        far.server.shutdown()
        far.server.server_close()
        thread.join()
        http.HTTPFileSystem.clear_instance_cache()
