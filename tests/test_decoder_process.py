"""The decoder's process: its limits, and what becomes of it."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from feeder import decoder_process
from feeder.decoder_process import DecoderProcess
from feeder.errors import BadFrame, DecoderDied
from tests.feeder_process import PATIENCE
from tests.pictures import camera_picture
from tests.slow_picture import slow_jpeg


def packed(picture: Image.Image, name: str = "PNG", **options: object) -> bytes:
    """`picture` as a file of a format."""
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getvalue()


@pytest.fixture
def decoder() -> Iterator[DecoderProcess]:
    """A decoder process with time enough."""
    made = DecoderProcess(max_pixels=64_000_000, timeout=PATIENCE)
    yield made
    made.close()


def running(decoder: DecoderProcess) -> "subprocess.Popen[bytes]":
    """The child, once it has decoded something."""
    decoder.decode(packed(Image.new("RGB", (8, 8))))
    assert decoder._child is not None
    return decoder._child


def test_a_decoder_that_takes_too_long_is_replaced(decoder: DecoderProcess) -> None:
    """It is killed and named as the reason, and the next picture gets another one."""
    first = running(decoder)
    decoder.timeout = 0.2
    with pytest.raises(DecoderDied, match=r"decoding it takes more than 0\.2 s"):
        decoder.decode(slow_jpeg(8000, 6000), min_edge=448)
    assert first.returncode == -signal.SIGKILL
    decoder.timeout = PATIENCE
    assert running(decoder).pid != first.pid


def test_a_decoder_that_dies_is_replaced(decoder: DecoderProcess) -> None:
    """Whatever signal ends it while it decodes is the reason, and the next picture decodes."""
    data = slow_jpeg(8000, 6000)
    child = running(decoder)
    threading.Timer(0.5, child.send_signal, (signal.SIGSEGV,)).start()
    with pytest.raises(DecoderDied, match=r"the decoder died on it \(SIGSEGV\)"):
        decoder.decode(data, min_edge=448)
    assert running(decoder).pid != child.pid


def test_a_decoder_that_does_not_start_is_no_fault_of_the_picture(
    decoder: DecoderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the interpreter is missing or broken, an upgrade say, the picture is left alone."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(OSError, match=r"the decoder does not start \(exit status 1\)"):
        decoder.decode(packed(Image.new("RGB", (8, 8))))
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    with pytest.raises(OSError, match="nonexistent"):
        decoder.decode(packed(Image.new("RGB", (8, 8))))
    monkeypatch.undo()
    running(decoder)


@pytest.mark.parametrize(
    "answer",
    [
        b"not json\n",
        b"[1, 2]\n",
        b"[" * 60_000 + b"\n",
        b'{"bytes": Infinity}\n',
        b'{"bytes": -1}\n',
        b'{"bytes": 99999999999}\n',
        b'{"bytes": 3, "size": [1, 1]}\nRGB',
        b'{"bytes": 3, "size": [60000, 60000], "width": 1, "height": 1, "media_type": "image/png",'
        b' "taken": ""}\nRGB',
        b'{"bytes": 3, "size": [1, 1], "width": "1", "height": 1, "media_type": "image/png",'
        b' "taken": ""}\nRGB',
        b'{"bytes": 3, "size": [1, 1], "width": 1, "height": 1, "media_type": "\\u001b[2J",'
        b' "taken": ""}\nRGB',
        b'{"bytes": 3, "size": [1, 1], "width": 1, "height": 1, "media_type": "image/png",'
        b' "taken": 7}\nRGB',
    ],
)
def test_what_a_taken_over_decoder_answers_is_checked(
    answer: bytes, decoder: DecoderProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer raises anything but DecoderDied, and that process is not used again."""
    (tmp_path / "answer").write_bytes(answer)
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\necho '{{\"bytes\": 0}}'\ncat '{tmp_path}/answer' -\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(DecoderDied, match="nonsense"):
        decoder.decode(packed(Image.new("RGB", (8, 8))))
    assert decoder._child is None


def test_a_reason_cannot_move_the_cursor(
    decoder: DecoderProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reason from the child is made printable and kept short."""
    reason = {"bytes": 0, "reason": "\x1b[2J\n" + "x" * 9000}
    script = tmp_path / "python"
    (tmp_path / "answer").write_text(json.dumps(reason) + "\n")
    script.write_text(f"#!/bin/sh\necho '{{\"bytes\": 0}}'\ncat '{tmp_path}/answer' -\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(BadFrame) as raised:
        decoder.decode(packed(Image.new("RGB", (8, 8))))
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) <= 500


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's own data")
def test_memory_is_limited_whatever_the_estimate(
    decoder: DecoderProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that the estimate lets through is stopped by the system, and the child goes on."""
    child = running(decoder)
    monkeypatch.setattr(decoder_process, "PICTURE_MEMORY", 10**12)
    with pytest.raises(BadFrame, match="more memory than"):
        decoder.decode(packed(Image.new("RGB", (8000, 8000)), compress_level=1))
    assert running(decoder).pid == child.pid
    assert peak_bytes(child.pid) <= 256_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("PNG", (6720, 6720), {"compress_level": 1}),
        ("WEBP", (4056, 3040), {"method": 0}),
        ("AVIF", (4800, 3900), {"speed": 10}),
        ("JPEG", (9152, 6944), {}),
        ("JPEG", (9152, 6944), {"progressive": True}),
    ],
)
def test_what_fits_and_what_it_takes(
    name: str, size: tuple[int, int], options: dict[str, object], decoder: DecoderProcess
) -> None:
    """The sizes that the settings' comment names are decoded, in less than 256 MB."""
    picture = decoder.decode(packed(Image.new("RGB", size, "teal"), name, **options), min_edge=448)
    assert (picture.width, picture.height) == size
    assert picture.image.width * picture.image.height < 4_000_000
    assert peak_bytes(running(decoder).pid) <= 256_000_000


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process's time")
def test_an_orphan_ends_by_itself() -> None:
    """A decoder whose daemon was killed does not go on for ever: its processor time is limited."""
    child = subprocess.Popen(
        [sys.executable, "-m", "feeder.decoder_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdin is not None and child.stdout is not None
    data = slow_jpeg(8000, 6000)
    request = {"min_edge": 448, "max_pixels": 10**9, "memory": None, "seconds": 0}
    child.stdin.write(json.dumps({**request, "bytes": len(data)}).encode() + b"\n" + data)
    child.stdin.flush()
    assert child.wait(PATIENCE) == -signal.SIGXCPU
    child.stdin.close()
    child.stdout.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process")
def test_lower_limits_that_are_set_already_stay(decoder: DecoderProcess) -> None:
    """Where a service manager grants less memory and time, the decoder starts all the same."""
    script = (
        "import resource as r; r.setrlimit(r.RLIMIT_CPU, (5, 5));"
        " r.setrlimit(r.RLIMIT_AS, (900 << 20, 900 << 20)); import tests.test_decoder_process as t;"
        " from feeder.decoder_process import DecoderProcess as D;"
        " d = D(10**6); print(t.running(d).pid > 0); d.close()"
    )
    command = ["setpriv", "--bounding-set=-sys_resource", sys.executable, "-c", script]
    if shutil.which("setpriv") is None or os.geteuid() != 0:
        command = command[2:]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no process's files")
def test_it_writes_no_file(decoder: DecoderProcess) -> None:
    """Its limits leave it no byte to write to a disk and no core to dump."""
    child = running(decoder)
    limits = Path(f"/proc/{child.pid}/limits")
    if not limits.exists():
        pytest.skip("reads /proc")
    found = {line[:26].strip(): line[26:].split()[0] for line in limits.read_text().splitlines()}
    assert found["Max file size"] == found["Max core file size"] == "0"


def test_a_large_picture_is_small_on_its_way(decoder: DecoderProcess) -> None:
    """Twelve megapixels of PNG leave the child as less than one, as those of a JPEG do."""
    data = packed(camera_picture(1000, 750).resize((4000, 3000)), compress_level=1)
    picture = decoder.decode(data, min_edge=448)
    assert picture.image.size == (1000, 750)


def peak_bytes(pid: int) -> int:
    """The most memory a process has had resident so far, from /proc."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
