"""The decoder in a process of its own, with limits, killed and replaced when it misbehaves.

A codec that crashes, hangs or swells takes this child with it and never the daemon. The child
answers one request at a time: a JSON line and raw bytes each way, over its standard streams.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import IO, Any

from PIL import Image

from feeder import decoder
from feeder.deadline import Deadline
from feeder.decoder import Picture
from feeder.errors import BadFrame
from feeder.memory import release_memory

MEMORY_LIMIT = 1 << 30
"""Address space of the child in bytes: libraries map most of it, pixels need a few hundred MB."""

MAX_HEADER = 1 << 16


@dataclass
class DecoderProcess:
    """`decoder.decode` in a child process. `timeout` is in seconds for one picture."""

    max_pixels: int
    timeout: float = 6.0
    _child: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _deadline: Deadline = field(default_factory=Deadline, init=False)

    def decode(self, data: bytes, *, min_edge: int | None = None) -> Picture:
        """As `decoder.decode`; BadFrame also where the child died or took too long."""
        child = self._running()
        assert child.stdin is not None and child.stdout is not None
        try:
            # Killing the child is what ends the read below; it works the same on every system.
            with self._deadline.within(self.timeout, child.kill):
                _send(child.stdin, {"min_edge": min_edge, "max_pixels": self.max_pixels}, data)
                answer, pixels = _receive(child.stdout, 3 * self.max_pixels)
            if "reason" in answer:
                raise BadFrame(str(answer["reason"]))
            image = Image.frombytes("RGB", tuple(answer.pop("size")), pixels)
            return Picture(image=image, **answer)
        except (EOFError, OSError):
            self.close()
            raise BadFrame(f"the decoder died on it or took over {self.timeout:g} s") from None
        except (ValueError, KeyError, TypeError) as error:
            # A child that a picture has taken over may answer anything.
            self.close()
            raise BadFrame(f"the decoder answered nonsense: {error}") from error

    def close(self) -> None:
        """Ends the child; the next picture starts another."""
        self._deadline.close()
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                # What was still buffered belonged to the child that is gone.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        child.wait()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = subprocess.Popen(
                [sys.executable, "-m", "feeder.decoder_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._child


def _send(stream: IO[bytes], header: dict[str, Any], payload: bytes = b"") -> None:
    line = json.dumps({**header, "bytes": len(payload)}).encode() + b"\n"
    stream.write(line)
    stream.write(payload)
    stream.flush()


def _receive(stream: IO[bytes], most: int | None = None) -> tuple[dict[str, Any], bytes]:
    """A header and at most `most` bytes. EOFError: the other side is gone; ValueError: nonsense."""
    line = stream.readline(MAX_HEADER)
    if not line.endswith(b"\n"):
        raise EOFError
    header: dict[str, Any] = json.loads(line)
    length = int(header.pop("bytes"))
    if length < 0 or (most is not None and length > most):
        raise ValueError(f"{length} bytes")
    payload = stream.read(length)
    if len(payload) < length:
        raise EOFError
    return header, payload


def _limit() -> None:
    # Ctrl-C and a stopping service signal the whole group: the daemon finishes its frame first,
    # and this child leaves when the daemon's end of the pipe closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


def _serve() -> None:
    """The child's loop, until the daemon closes its end."""
    _limit()
    # A codec that prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            request, data = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _answer(answers, request, data)
        del data
        release_memory()


def _answer(answers: IO[bytes], request: dict[str, Any], data: bytes) -> None:
    try:
        picture = decoder.decode(data, **request)
    except BadFrame as bad:
        _send(answers, {"reason": str(bad)})
        return
    _send(
        answers,
        {
            "size": picture.image.size,
            "media_type": picture.media_type,
            "width": picture.width,
            "height": picture.height,
            "taken": picture.taken,
        },
        picture.image.tobytes(),
    )


if __name__ == "__main__":
    _serve()
