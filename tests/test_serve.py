"""`feeder serve` as a process: where it listens, and its password."""

import os
import pty
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page

from feeder.errors import ConfigError
from feeder.web import passwords
from feeder.web.listening import addresses, urls
from feeder.web.passwords import PasswordError
from tests.feeder_process import PATIENCE
from tests.sightings import ROBIN
from tests.site import Site
from tests.web_app import PASSWORD, set_password


def feeder(
    site: Site, *arguments: str, said: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Runs `feeder` on the site to its end; `said` comes through a pipe."""
    command = [sys.executable, "-m", "feeder", "--config", os.fspath(site.config), *arguments]
    return subprocess.run(
        command, input=said, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def password_file(site: Site) -> Path:
    """The file that [web] names."""
    return site.settings.resolve(site.settings.web.password)


def test_open_to_the_network_it_does_not_start_without_a_password(site: Site) -> None:
    """It says how to set one, and that before it loads anything or listens."""
    done = feeder(site, "serve", "--host", "0.0.0.0")
    assert done.returncode == 1
    assert "no password is set" in done.stderr and "feeder serve --set-password" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("said", ["", "short", "a" * 2000])
def test_a_password_that_protects_nothing_is_refused(said: str, tmp_path: Path) -> None:
    """An empty, a very short and an endless one; nothing is written."""
    with pytest.raises(PasswordError, match="characters"):
        passwords.write(tmp_path / "kept", said)
    assert not list(tmp_path.iterdir())


def test_an_empty_pipe_sets_no_password(site: Site) -> None:
    """Neither does a line with nothing in it; the command fails and says why."""
    for said in ("", "\n"):
        done = feeder(site, "serve", "--set-password", said=said)
        assert done.returncode == 1 and "characters" in done.stderr
    assert not password_file(site).exists()


def test_a_password_is_read_from_a_pipe_and_kept_as_a_hash(site: Site) -> None:
    """The file is for its owner alone and holds Argon2id, whatever the umask is."""
    done = feeder(site, "serve", "--set-password", said=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    file = password_file(site)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text(encoding="ascii").startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in file.read_text(encoding="ascii") + done.stdout + done.stderr
    assert [one.name for one in file.parent.glob("*password*")] == [file.name]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_what_root_sets_the_service_can_read(tmp_path: Path) -> None:
    """`sudo feeder serve --set-password` leaves the file to the owner of its folder."""
    os.chown(tmp_path, 1, 1)
    passwords.write(tmp_path / "kept", PASSWORD)
    found = (tmp_path / "kept").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1, 1, 0o600)


def test_on_a_terminal_it_is_asked_for_twice(site: Site) -> None:
    """Two that differ are asked for again; neither is shown."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "feeder", "--config", os.fspath(site.config)]
    process = subprocess.Popen(
        [*command, "serve", "--set-password"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    said = ""
    answers = [PASSWORD, "another one", PASSWORD, PASSWORD]
    try:
        while chunk := os.read(ours, 4096):
            said += chunk.decode()
            if answers and said.rstrip().endswith(":"):
                os.write(ours, f"{answers.pop(0)}\n".encode())
                said += "\n(answered)"
    except OSError:
        pass  # how a terminal says that the other side is gone
    assert process.wait(PATIENCE) == 0, said
    os.close(ours)
    assert not answers and PASSWORD not in said
    assert passwords.Doorkeeper(password_file(site)).admits(PASSWORD, "here")


def test_a_letter_with_an_accent_is_one_letter(tmp_path: Path) -> None:
    """A phone may write it as two characters where a PC writes one."""
    passwords.write(tmp_path / "kept", "Gru\u0308nfink am Haus")
    assert passwords.Doorkeeper(tmp_path / "kept").admits("Gr\u00fcnfink am Haus", "here")


@pytest.mark.parametrize("content", [b"", b"secret", b"\xff\xfe", b"$argon2id$v=19$"])
def test_a_file_that_holds_no_hash_is_no_password(content: bytes, tmp_path: Path) -> None:
    """It is said, and nobody comes in: neither by an empty password nor by the file's content."""
    file = tmp_path / "kept"
    file.write_bytes(content)
    with pytest.raises(PasswordError, match="cannot be used"):
        passwords.read(file)
    with pytest.raises(PasswordError):
        passwords.Doorkeeper(file).admits("secret", "here")


def test_a_port_in_use_is_said(site: Site) -> None:
    """In a sentence that says what to do, and no traceback."""
    with socket.create_server(("127.0.0.1", site.port)):
        done = feeder(site, "serve")
    assert done.returncode == 1 and "is in use" in done.stderr and "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_host_that_is_not_this_computer_is_said(site: Site) -> None:
    """Whatever the settings say to listen at, a mistake is a sentence."""
    set_password(site)
    done = feeder(site, "serve", "--host", "203.0.113.77")
    assert done.returncode == 1 and "is no address of this computer" in done.stderr
    assert "Traceback" not in done.stderr
    for host in ("no.such.name.invalid", "*", "a b", "\0", "x" * 300):
        with pytest.raises(ConfigError, match="is no address of this computer"):
            addresses(host)


def test_it_says_where_the_page_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound to every address it names those that a phone can try."""
    monkeypatch.setattr("socket.gethostname", lambda: "nest")
    assert urls("127.0.0.1", 8765) == ["http://127.0.0.1:8765"]
    assert urls("::1", 80) == ["http://[::1]:80"]
    everywhere = urls("0.0.0.0", 8765)
    assert everywhere[0] == "http://nest.local:8765" and everywhere[-1] == "http://127.0.0.1:8765"


@pytest.mark.parametrize("path", ["/login", "/nothing"])
def test_it_cuts_off_a_stream_without_an_end(path: str, site: Site) -> None:
    """A real server hangs up on it, with the password or without, and writes no line of it."""
    set_password(site)
    with site.serve(), socket.create_connection(("127.0.0.1", site.port), PATIENCE) as sent:
        sent.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n".encode()
        )
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        with pytest.raises(OSError):
            for _ in range(2000):
                sent.sendall(chunk)
    said = (site.root / "serve.txt").read_text(encoding="utf-8").splitlines()
    assert said == [f"the page is at http://127.0.0.1:{site.port}"]


def test_a_person_logs_in_and_out(site: Site, page: Page) -> None:
    """In a real browser: the form, the page that was wanted, its picture, and the form again."""
    media_id = site.see(ROBIN)
    set_password(site)
    with site.serve() as base:
        page.goto(f"{base}/?asked=for")
        assert re.search(r"/login\?next=", page.url)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{base}/?asked=for")
        cookie = next(one for one in page.context.cookies() if one["name"] == "feeder-session")
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict"
        size = page.evaluate(
            "path => new Promise((good, bad) => { const image = new Image();"
            " image.onload = () => good(image.naturalWidth); image.onerror = bad;"
            " image.src = path })",
            f"/media/{media_id}/thumbnail.jpg",
        )
        assert size > 0
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{base}/login")
        page.goto(base)
        assert "/login" in page.url
