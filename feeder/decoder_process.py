"""The decoder in a process of its own, with limits, killed and replaced when it misbehaves.

A codec that crashes, hangs or swells takes this child with it and never the daemon. The child
answers one request at a time: a JSON line and raw bytes each way, over its standard streams.
"""

import contextlib
import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from PIL import AvifImagePlugin, Image

from feeder import decoder
from feeder.deadline import Deadline
from feeder.decoder import Picture
from feeder.errors import BadFrame, DecoderDied
from feeder.memory import release_memory
from feeder.plain_text import plain

DATA_LIMIT = 240_000_000
"""Bytes of memory that the child may write to. Some 10 MB of its libraries come on top, so that
no picture makes more than 256 MB of it resident."""

ADDRESS_LIMIT = 1 << 30
"""Bytes of address space, for what the other limit does not count."""

PICTURE_MEMORY = 222_000_000
"""Bytes of it that decoding one picture may take; the interpreter has the rest."""

START_SECONDS = 10.0
"""Time for the child to start, on a small computer that is busy with something else."""

MAX_HEADER = 1 << 16
MAX_REASON = 500

_MEDIA_TYPE = re.compile(r"[a-z]{1,20}/[a-z0-9.+-]{1,40}")


@dataclass
class DecoderProcess:
    """`decoder.decode` in a child process. `timeout` is in seconds for one picture."""

    max_pixels: int
    timeout: float = 6.0
    _child: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _interrupted: bool = field(default=False, init=False)
    _deadline: Deadline = field(default_factory=Deadline, init=False)

    def decode(self, data: bytes, *, min_edge: int | None = None) -> Picture:
        """As `decoder.decode`; DecoderDied where the child did not survive the bytes.

        Raises OSError where no child can be started, which is no fault of the bytes.
        """
        child = self._running()
        assert child.stdin is not None and child.stdout is not None
        request = {
            "min_edge": min_edge,
            "max_pixels": self.max_pixels,
            "memory": PICTURE_MEMORY,
            "seconds": self.timeout,
        }
        with self._limited(child, self.timeout) as expired:
            try:
                if self._interrupted:
                    raise EOFError
                _send(child.stdin, request, data)
                answer, pixels = _receive(child.stdout, 3 * self.max_pixels)
            except (EOFError, OSError):
                answer, pixels = None, b""
            except ValueError as error:
                self.close()
                raise DecoderDied(f"the decoder answered nonsense: {error}") from error
        if answer is None:
            status = self.close()
            if expired.is_set():
                raise DecoderDied(f"decoding it takes more than {self.timeout:g} s")
            raise DecoderDied(f"the decoder died on it ({_cause(status)})")
        if expired.is_set():  # just after the answer: the child is gone, the answer is good
            self.close()
        if "reason" in answer:
            raise BadFrame(plain(str(answer["reason"]))[:MAX_REASON])
        try:
            return _picture(answer, pixels)
        except (ValueError, KeyError, TypeError) as error:
            self.close()
            raise DecoderDied(f"the decoder answered nonsense: {error}") from error

    def interrupt(self) -> None:
        """Ends the picture being decoded, and all later ones; safe in a signal handler."""
        self._interrupted = True
        if (child := self._child) is not None:
            child.kill()

    def close(self) -> int | None:
        """Ends the child and gives its exit status; the next picture starts another."""
        self._deadline.close()
        child, self._child = self._child, None
        if child is None:
            return None
        child.kill()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                # What was still buffered belonged to the child that is gone.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        return child.wait()

    @contextlib.contextmanager
    def _limited(
        self, child: "subprocess.Popen[bytes]", seconds: float
    ) -> Iterator[threading.Event]:
        """Kills `child` after `seconds`, unless left before; the event tells which it was.

        Killing the child is what ends a read from it; that works the same on every system.
        """
        expired = threading.Event()

        def end() -> None:
            expired.set()
            child.kill()

        with self._deadline.within(seconds, end):
            yield expired

    def _running(self) -> "subprocess.Popen[bytes]":
        """The child, started and heard of: what goes wrong later is the picture's doing."""
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = subprocess.Popen(
                [sys.executable, "-m", "feeder.decoder_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert self._child.stdout is not None
            with self._limited(self._child, START_SECONDS):
                try:
                    _receive(self._child.stdout, 0)
                except (EOFError, ValueError):
                    status = self.close()
                    said = f"the decoder does not start ({_cause(status)})"
                    raise OSError(errno.ECHILD, said) from None
        return self._child


def _cause(status: int | None) -> str:
    """An exit status in words."""
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"


def _picture(answer: dict[str, Any], pixels: bytes) -> Picture:
    """An answer as a picture. A child that a file has taken over may send anything.

    Raises ValueError, KeyError or TypeError where it is not what `_answer` sends.
    """
    size = answer["size"]
    numbers = (*size, answer["width"], answer["height"])
    if len(numbers) != 4 or not all(type(one) is int and 0 < one < 1 << 31 for one in numbers):
        raise ValueError("no size")
    if len(pixels) != 3 * size[0] * size[1]:
        raise ValueError(f"{len(pixels)} bytes for {size[0]} x {size[1]} pixels")
    media_type, taken = answer["media_type"], answer["taken"]
    if not _MEDIA_TYPE.fullmatch(media_type) or not isinstance(taken, str):
        raise ValueError("no media type or time")
    return Picture(
        Image.frombytes("RGB", (size[0], size[1]), pixels),
        media_type,
        answer["width"],
        answer["height"],
        taken,
    )


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
    try:
        header = json.loads(line)
        length = header.pop("bytes")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("no header") from error
    if type(length) is not int or length < 0 or (most is not None and length > most):
        raise ValueError(f"{length!r:.40} bytes")
    payload = stream.read(length)
    if len(payload) < length:
        raise EOFError
    return header, payload


def _limit() -> None:
    # Ctrl-C and a stopping service signal the whole group: the daemon finishes its frame first,
    # and this child leaves when the daemon's end of the pipe closes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A thread for each core would take memory of its own, and the cores.
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    if sys.platform == "win32":
        return
    import resource

    if sys.platform == "linux":
        # Where memory runs out, this child goes first and the daemon stays.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    _lower(resource.RLIMIT_CORE, 0)
    # It has answers to write and no file.
    _lower(resource.RLIMIT_FSIZE, 0)
    if sys.platform == "linux":
        _lower(resource.RLIMIT_DATA, DATA_LIMIT)
        _lower(resource.RLIMIT_AS, ADDRESS_LIMIT)


def _limit_processor(seconds: float) -> None:
    """Ends this process after as much work more.

    The daemon is quicker to kill it, but not one that was itself killed meanwhile.
    """
    if sys.platform != "win32":
        import resource

        most = math.ceil(time.process_time() + seconds) + 1
        _lower(resource.RLIMIT_CPU, most, for_good=False)


def _lower(kind: int, most: int, *, for_good: bool = True) -> None:
    """Sets a limit of this process, or keeps one that is lower already: nobody may raise that."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(kind, (most, most if for_good else hard))


def _serve() -> None:
    """The child's loop, until the daemon closes its end."""
    _limit()
    # A codec that prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        _send(answers, {})
        while True:
            request, data = _receive(sys.stdin.buffer)
            _limit_processor(request.pop("seconds"))
            _answer(answers, request, data)
            del data
            release_memory()
    except (EOFError, BrokenPipeError):
        # What could not be written any more would be tried again at exit, with a traceback.
        os._exit(0)


def _answer(answers: IO[bytes], request: dict[str, Any], data: bytes) -> None:
    try:
        picture = decoder.decode(data, **request)
    except BadFrame as bad:
        _send(answers, {"reason": str(bad)[:MAX_REASON]})
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
