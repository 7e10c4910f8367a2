"""Something that takes messages over HTTP, or hangs, or refuses, as a test likes it."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass
class Received:
    """A message: its title, text, and the pictures with it."""

    title: str
    body: str
    pictures: list[bytes] = field(default_factory=list)


@dataclass
class Receiver:
    """Takes Apprise's `json://` and `form://`; answers with `answers`, one by one, then with 200.

    While `hangs`, it answers nothing at all.
    """

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    asked: int = 0
    hangs: threading.Event | None = None

    @property
    def json(self) -> str:
        """The Apprise URL; the topic in it is a secret."""
        return f"json://127.0.0.1:{self.port}/s3cret-topic"

    @property
    def form(self) -> str:
        """The same of what takes forms."""
        return f"form://127.0.0.1:{self.port}/s3cret-topic"

    @property
    def titles(self) -> list[str]:
        """The titles of what came, in order."""
        return [one.title for one in self.received]


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """A receiver that listens until the end."""
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            made.asked += 1
            if made.hangs is not None:
                made.hangs.wait(60)
                return
            answer = made.answers.pop(0) if made.answers else 200
            if answer == 200:
                made.received.append(_read(self.headers["Content-Type"], data))
            self.send_response(answer)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield made
    finally:
        if made.hangs is not None:
            made.hangs.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _read(kind: str, data: bytes) -> Received:
    if kind.startswith("application/json"):
        content = json.loads(data)
        pictures = [base64.b64decode(one["base64"]) for one in content["attachments"]]
        return Received(content["title"], content["message"], pictures)
    if kind.startswith("application/x-www-form-urlencoded"):
        fields = parse_qs(data.decode())
        return Received(fields["title"][0], fields["message"][0])
    parts = BytesParser().parsebytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + data)
    found: dict[str, bytes] = {}
    pictures = []
    for part in parts.get_payload() if parts.is_multipart() else []:
        assert not isinstance(part, str)
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename():
            pictures.append(content)
        else:
            found[str(part.get_param("name", header="content-disposition"))] = content
    return Received(found["title"].decode(), found["message"].decode(), pictures)
