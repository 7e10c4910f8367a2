"""What the doctor says of the page."""

import socket
from contextlib import closing

import pytest

from feeder import config
from feeder.check import Check
from feeder.web import checkup, passwords
from tests.site import Site


def found(site: Site, lines: str) -> list[Check]:
    """What is found with these lines under [web]."""
    text = site.config.read_text(encoding="utf-8").partition("[web]")[0]
    site.config.write_text(f"{text}[web]\nport = {site.port}\n{lines}\n", encoding="utf-8")
    return list(checkup.examine(config.load(site.config)))


ON = "enabled = true\n"


def test_a_page_that_is_off_is_not_looked_at(site: Site) -> None:
    """As it is shipped."""
    assert found(site, "") == []


def test_a_page_for_the_network_needs_a_password(site: Site) -> None:
    """One that can be read; this computer alone needs none."""
    (one,) = found(site, ON)
    assert one.well and "is free" in one.found
    (one,) = found(site, f'{ON}host = "0.0.0.0"')
    assert not one.well and one.mend == "feeder serve --set-password"
    file = site.settings.resolve(site.settings.web.password)
    passwords.write(file, "some words in a row")
    (one,) = found(site, f'{ON}host = "0.0.0.0"')
    assert one.well and "with a password" in one.found
    file.write_text("no hash", encoding="ascii")
    (one,) = found(site, ON)
    assert not one.well and "holds no Argon2 hash" in one.found


def test_a_host_that_is_none_is_found(site: Site) -> None:
    """So is another computer's."""
    for host in ("no.such.name.invalid", "192.0.2.1"):
        (one,) = found(site, f'{ON}host = "{host}"')
        assert not one.well, host


def test_a_port_is_free_or_the_pages_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever else listens there is in the way."""
    passwords.write(site.settings.resolve(site.settings.web.password), "some words in a row")
    with closing(socket.create_server(("127.0.0.1", site.port))):
        monkeypatch.setattr(checkup, "ANSWER_SECONDS", 0.1)
        (one,) = found(site, ON)
        assert not one.well and "is in use" in one.found
    monkeypatch.undo()
    with site.serve():
        (one,) = found(site, ON)
        assert one.well and f"answers at http://127.0.0.1:{site.port}" in one.found
