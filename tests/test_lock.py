"""What stands before every page: the password, names, origins and headers."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from feeder import config
from feeder.errors import ConfigError, FeederError
from feeder.web import listening, passwords
from feeder.web.login import MAY_STAY, OPEN, OPEN_BELOW, SESSION_SECONDS, Gate, local_path
from feeder.web.security import HEADERS, host_name
from tests.conftest import FakeClock
from tests.sightings import ROBIN
from tests.site import Site
from tests.web_app import (
    BASIC,
    BROWSER,
    HERE,
    PASSWORD,
    Asker,
    asked,
    filled,
    routes,
    set_password,
)

API = "/api/v1/openapi.json"


@pytest.fixture
def locked(site: Site, time: FakeClock) -> Iterator[Asker]:
    """The application with a password and a robin in its log."""
    site.see(ROBIN, name="the-secret-robin.jpg")
    set_password(site)
    with asked(site, time.clock) as asker:
        yield asker


def is_open(path: str) -> bool:
    """Whether a path needs no password."""
    return path in OPEN or path.startswith(OPEN_BELOW)


def test_without_the_password_no_route_answers(locked: Asker, site: Site) -> None:
    """Of all routes there are, none but the login, /healthz and static files says anything."""
    table = routes(locked.app)
    assert {"/login", "/healthz", "/", "/media/{media_id}/thumbnail.jpg"} <= {p for _, p in table}
    for method, path in table:
        for headers in ({}, BROWSER, {**HERE, "cookie": "feeder-session=1.a.b"}):
            answer = locked.ask(method, filled(path), headers)
            if is_open(path):
                assert answer.status in (200, 403), (method, path)
                if path == "/login" and method == "POST":
                    assert "set-cookie" not in answer.headers
            elif answer.status == 303:
                assert answer.headers["location"].startswith("/login?next="), (method, path)
                assert not answer.body
            else:
                assert answer.status == 401, (method, path)
            assert b"Robin" not in answer.body and b"argon2" not in answer.body, (method, path)


def test_what_is_no_route_is_not_told_from_what_is(locked: Asker) -> None:
    """Without the password nobody learns which addresses there are."""
    assert locked.get("/no/such/page").status == 401
    assert locked.ask("DELETE", "/", HERE).status == 401


@pytest.mark.parametrize("by", ["session", "basic"])
def test_with_the_password_every_route_answers(by: str, locked: Asker) -> None:
    """By a session or by HTTP Basic none is locked, and none breaks."""
    headers = {**HERE, **(locked.log_in().cookie if by == "session" else BASIC)}
    for method, path in routes(locked.app):
        if path == "/logout":
            continue
        answer = locked.ask(method, filled(path), {**headers, **BROWSER})
        assert answer.status not in (401, 429) and answer.status < 500, (method, path, answer)
        assert not answer.headers.get("location", "").startswith("/login"), (method, path)


def test_nothing_is_changed_by_looking(locked: Asker, site: Site) -> None:
    """No GET of any route writes to the log."""
    with closing(sqlite3.connect(site.settings.database)) as log:
        (before,) = log.execute("PRAGMA data_version").fetchone()
        for method, path in routes(locked.app):
            if method in ("GET", "HEAD"):
                locked.ask(method, filled(path), {**BASIC, **BROWSER})
        assert log.execute("PRAGMA data_version").fetchone() == (before,)


def test_head_is_answered_as_get_without_a_body(locked: Asker) -> None:
    """Of every route that GET knows: the status and the headers, and nothing more."""
    for method, path in routes(locked.app):
        if method != "GET":
            continue
        whole = locked.get(filled(path), {**BASIC, **BROWSER})
        head = locked.ask("HEAD", filled(path), {**BASIC, **BROWSER})
        assert (head.status, head.body) == (whole.status, b""), path
        for name in ("content-type", "location"):
            assert head.headers.get(name) == whole.headers.get(name), (path, name)
        assert ("content-length" in head.headers) == ("content-length" in whole.headers), path


def test_every_answer_bears_the_headers(locked: Asker) -> None:
    """Pages, pictures, refusals and errors let nothing else in, and name no software."""

    def broken() -> None:
        raise RuntimeError("a mistake in the program: secret")

    locked.app.add_api_route("/broken", broken)
    cases = [
        locked.get("/"), locked.get("/", BROWSER), locked.get("/", BASIC), locked.get("/login"),
        locked.get("/static/feeder.css"), locked.get("/static/none"), locked.get("/none", BASIC),
        locked.get("/media/1/thumbnail.jpg", BASIC), locked.get("/media/x/thumbnail.jpg", BASIC),
        locked.get(API), locked.get("/", {"host": "evil.example"}), locked.get("/broken", BASIC),
        locked.post("/login", {"origin": "http://evil.example"}), locked.post("/", BASIC),
        locked.post("/login", body=bytes(300_000)),
    ]  # fmt: skip
    assert {one.status for one in cases} == {200, 303, 401, 403, 404, 405, 413, 421, 500}
    for answer in cases:
        for name, value in HEADERS.items():
            expected = answer.headers[name.lower()] if name == "Cache-Control" else value
            assert answer.headers.get(name.lower()) == expected, answer
        assert "server" not in answer.headers and b"secret" not in answer.body
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy and "data:" not in policy


def test_a_login_begins_a_session_that_a_script_cannot_read(locked: Asker) -> None:
    """The cookie is HttpOnly and SameSite=Strict, and Secure where the page came by https."""
    answer = locked.post("/login", body=f"password={PASSWORD}&next=/species%3Fa=b".encode())
    assert (answer.status, answer.headers["location"]) == (303, "/species?a=b")
    said = answer.headers["set-cookie"].lower()
    for part in ("httponly", "samesite=strict", "path=/", f"max-age={SESSION_SECONDS}"):
        assert part in said
    assert "secure" not in said and PASSWORD not in said
    by_https = locked.log_in(scheme="https", headers={"origin": "https://localhost"})
    assert "secure" in by_https.headers["set-cookie"].lower()
    assert "Log out" in locked.get("/", {**answer.cookie, **BROWSER}).text
    assert "Log out" not in locked.get("/login", BROWSER).text


def test_the_login_shows_no_menu(locked: Asker) -> None:
    """Who is not in is offered no page that would only lead back."""
    text = locked.get("/login", BROWSER).text
    assert "<h1>Log in</h1>" in text and "</header>" not in text and 'href="/frames"' not in text
    assert "</header>" in locked.get("/", {**BROWSER, **BASIC}).text


def test_a_wrong_password_begins_none(locked: Asker) -> None:
    """The form comes again and says so; the password tried is not in it."""
    answer = locked.log_in("wrong but long")
    assert answer.status == 403 and "set-cookie" not in answer.headers
    assert "not the feeder&#39;s password" in answer.text and "wrong but long" not in answer.text


def test_a_session_outlives_a_restart_and_ends_after_a_month(
    locked: Asker, site: Site, time: FakeClock
) -> None:
    """Whoever logged in stays so for thirty days, whatever happens to the program."""
    cookie = locked.log_in().cookie
    with asked(site, time.clock) as restarted:
        assert restarted.get("/", cookie).status == 200
        time.advance(SESSION_SECONDS - 1)
        assert restarted.get("/", cookie).status == 200
        time.advance(2)
        assert restarted.get("/", cookie).status == 401


def test_another_password_ends_all_sessions(locked: Asker, site: Site) -> None:
    """A password that is set anew counts at once, and the old one and its sessions no more."""
    cookie = locked.log_in().cookie
    assert locked.get("/", BASIC).status == 200
    set_password(site, "another long password")
    assert locked.get("/", cookie).status == 401
    assert locked.get("/", BASIC).status == 401
    set_password(site)  # the very same, hashed anew
    assert locked.get("/", cookie).status == 401


def test_logging_out_ends_the_session(locked: Asker) -> None:
    """Also for whoever has kept the cookie."""
    cookie, other = locked.log_in().cookie, locked.log_in().cookie
    answer = locked.post("/logout", cookie)
    assert answer.status == 303 and 'feeder-session=""' in answer.headers["set-cookie"]
    assert locked.get("/", cookie).status == 401
    assert locked.get("/", other).status == 200


def test_a_stream_hears_of_the_logout(locked: Asker, site: Site) -> None:
    """Whether who listens may stay is asked anew: of the session, and of the password."""

    def staying(headers: dict[str, str]) -> Callable[[], bool]:
        scope = {"type": "http", "method": "GET", "path": "/live", "headers": [
            (name.encode(), value.encode()) for name, value in headers.items()
        ]}  # fmt: skip
        gate = Gate(locked.app, locked.app.state.doorkeeper, locked.app.state.sessions)
        assert locked.run(gate._answer(scope)) == gate._unkept
        return cast(Callable[[], bool], scope[MAY_STAY])

    cookie = locked.log_in().cookie
    session, basic = staying(cookie), staying(BASIC)
    assert session() and basic()
    locked.post("/logout", cookie)
    assert not session() and basic()
    set_password(site, "another one")
    assert not basic()


def test_nothing_but_pictures_is_kept_of_what_needs_the_password(locked: Asker, site: Site) -> None:
    """After logging out, Back asks again; pictures and what is open stay for a while."""
    media_id = site.see(ROBIN)
    for path in ("/", "/species", f"{API}/visits", "/health"):
        assert locked.get(path, BASIC).headers["cache-control"] == "no-store", path
    picture = locked.get(f"/media/{media_id}/thumbnail.jpg", BASIC)
    assert picture.status == 200
    assert "max-age" in picture.headers["cache-control"]
    assert locked.get("/static/feeder.css").headers["cache-control"] != "no-store"


def test_cookies_of_others_are_no_matter(locked: Asker) -> None:
    """A browser sends those of every program on this computer, whatever their port or form."""
    ours = locked.log_in().cookie["cookie"]
    for others in ('{"a": 1}', "a=b=c; d", 'x="unfinished', "é=ü", "hass=\\"):
        assert locked.get("/", {"cookie": f"{others}; {ours}"}).status == 200, others


def test_a_made_up_session_is_none(locked: Asker) -> None:
    """Neither one with another end, nor one signed with nothing, nor nonsense."""
    cookie = locked.log_in().cookie["cookie"]
    until, nonce, signature = cookie.partition("=")[2].split(".")
    for token in (
        f"{int(until) + 1}.{nonce}.{signature}", f"{until}.{nonce}.", f"{until}.{nonce}",
        signature, "", ".", "..", "é.é.é", '"', "=" * 5000, f"{nonce}.{until}.{signature}",
    ):  # fmt: skip
        assert locked.get("/", {"cookie": f"feeder-session={token}"}).status == 401, token


@pytest.mark.parametrize(
    "sent", ["Basic", "Basic ", "Basic !!!", "Basic //79", "Basic YTo=", "Bearer x", "basic Og=="]
)
def test_broken_basic_is_no_password(sent: str, locked: Asker) -> None:
    """Whatever is sent in the password's place is refused and breaks nothing."""
    answer = locked.get(API, {"authorization": sent})
    assert (answer.status, answer.headers["www-authenticate"][:5]) == (401, "Basic")


def test_only_programs_are_asked_by_a_window_of_the_browser(locked: Asker) -> None:
    """HTTP Basic is offered to the API and to Prometheus; a picture opens no window."""
    assert locked.get("/metrics").headers["www-authenticate"].startswith("Basic")
    said = locked.get("/media/1/thumbnail.jpg").headers["www-authenticate"]
    assert said.startswith("Session")


def test_argon2_does_not_run_for_each_request(
    locked: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that was checked is known again, a right one and a wrong one alike."""
    runs = []
    verify = passwords._verifies
    monkeypatch.setattr(passwords, "_verifies", lambda *said: runs.append(said) or verify(*said))
    assert {locked.get(API, BASIC).status for _ in range(20)} == {200}
    wrong = {"authorization": "Basic YTp3cm9uZ3dyb25n"}
    assert {locked.get(API, wrong).status for _ in range(20)} == {401}
    assert len(runs) == 2


def test_passwords_cannot_be_tried_out(locked: Asker, time: FakeClock) -> None:
    """After five wrong ones from an address no other counts for a while, elsewhere it does."""
    answers = [locked.log_in(f"wrong password {n}") for n in range(6)]
    assert [one.status for one in answers] == [403] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) == 15
    assert locked.log_in().status == 429, "a right one may be a guess, too"
    assert locked.get(API, BASIC).status == 429
    assert locked.log_in(client=("198.51.100.1", 1)).status == 303
    time.advance(15)
    assert locked.log_in().status == 303


def test_attempts_from_one_ipv6_network_count_together(locked: Asker) -> None:
    """Whoever has one address of a /64 has them all."""
    statuses = [
        locked.log_in(f"wrong password {n}", client=(f"2001:db8::{n + 1:x}", 1)).status
        for n in range(6)
    ]
    assert statuses == [403] * 5 + [429]


def test_without_a_password_nothing_is_asked(site: Site) -> None:
    """As shipped, at 127.0.0.1, the page is open to this computer."""
    with asked(site) as ask:
        assert ask.get("/", BROWSER).status == 200
        assert ask.get("/login?next=/species", BROWSER).headers["location"] == "/species"
        set_password(site)
        assert ask.get("/", BROWSER).status == 303, "set while it runs, it counts at once"


def test_open_to_the_network_nothing_is_shown_without_a_password(site: Site) -> None:
    """A password's file that is lost, or that holds something else, opens nothing."""
    set_password(site)
    file = site.settings.resolve(site.settings.web.password)
    with asked(site, host="0.0.0.0") as ask:
        assert ask.get("/", BASIC).status == 200
        file.write_text("", encoding="ascii")
        assert ask.get("/", BASIC).status == 503
        file.unlink()
        answer = ask.get("/")
        assert answer.status == 503 and "--set-password" in answer.text
        assert ask.log_in().status == 400


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8765", "127.0.0.1:8765", "[::1]:8765", "localhost.", "feeder.lan:1"],
)
def test_names_of_this_computer_are_answered(host: str, site: Site) -> None:
    """The usual ones, and those that [web] gives it."""
    web = site.settings.web.model_copy(update={"names": ("Feeder.lan",)})
    with asked(site, settings=site.settings.model_copy(update={"web": web})) as ask:
        assert ask.get("/healthz", {"host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example", "localhost@evil.example", "127.0.0.1.nip.io",
        "192.0.2.1", "", "[", "a b", "localhost:x", "localhost/..", "\xff", "localhost,evil",
        "2130706433", "[::ffff:c000:201]",
    ],
)  # fmt: skip
def test_other_names_are_not(host: str, site: Site) -> None:
    """A page elsewhere whose name leads here (DNS rebinding) reads nothing."""
    with asked(site) as ask:
        answer = ask.get("/", {"host": host})
        assert answer.status == 421 and "Today" not in answer.text
        if host_name(host):
            assert "`names` under [web]" in answer.text


def test_bound_wider_it_has_its_own_names_and_addresses(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name, name.local, and the address at which a request came in; no other address."""
    monkeypatch.setattr("socket.gethostname", lambda: "Nest")
    set_password(site)
    with asked(site, host="0.0.0.0") as ask:
        for host in ("nest", "nest.local:8765", "192.0.2.5:8765"):
            answer = ask.get("/healthz", {"host": host}, server=("192.0.2.5", 8765))
            assert answer.status == 200, host
        for host in ("192.0.2.6", "0.0.0.0", "nest.evil.example"):
            answer = ask.get("/healthz", {"host": host}, server=("192.0.2.5", 8765))
            assert answer.status == 421, host
    with asked(site) as ask:
        assert ask.get("/healthz", {"host": "nest.local"}).status == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"sec-fetch-site": "same-site", **HERE}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://localhost"}, 303),
        ({"origin": "http://localhost:80"}, 303),
        ({"origin": "http://localhost:8123"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost.evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "file://localhost"}, 403),
        ({"origin": "http://[broken"}, 403),
    ],
)
def test_another_site_cannot_make_a_browser_act(
    headers: dict[str, str], status: int, locked: Asker
) -> None:
    """A form that another page sends here is refused, also one of another port of this computer."""
    session = {"cookie": locked.log_in().cookie["cookie"]}
    assert locked.post("/logout", {**session, **headers}).status == status


def test_a_browser_that_does_not_say_where_from_is_refused(locked: Asker) -> None:
    """A session alone is no reason to act; a program's own password is."""
    session = {"cookie": locked.log_in().cookie["cookie"]}
    assert locked.post("/logout", session).status == 403
    assert locked.post("/logout", BASIC).status == 303


@pytest.mark.parametrize(
    ("site_of", "mode", "dest", "status"),
    [
        ("cross-site", "navigate", "document", 200),
        ("cross-site", "navigate", "iframe", 403),
        ("cross-site", "no-cors", "image", 403),
        ("same-site", "cors", "empty", 403),
        ("same-origin", "no-cors", "image", 200),
        ("none", "navigate", "document", 200),
    ],
)
def test_from_elsewhere_there_is_a_link_and_nothing_more(
    site_of: str, mode: str, dest: str, status: int, site: Site
) -> None:
    """Another site may link to a page; it shows no picture of it and asks it nothing."""
    headers = {"sec-fetch-site": site_of, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    with asked(site) as ask:
        assert ask.get("/", headers).status == status


@pytest.mark.parametrize(
    "said",
    ["//evil.example", "/\\evil.example", "http://evil.example", "javascript:alert(1)", "", "x",
     "/\n/evil.example", "https:/evil.example", "///evil.example", "/\t/evil.example"],
)  # fmt: skip
def test_a_login_leads_nowhere_else(said: str) -> None:
    """What to show next is a page of this site, whatever a link says."""
    assert local_path(said) == "/"
    assert local_path("/species?a=b") == "/species?a=b"


@pytest.mark.parametrize("name", ["http://feeder.local", "feeder.local:80", "", "a b", "*"])
def test_a_name_that_is_none_is_said(name: str, tmp_path: Path) -> None:
    """In the settings' own words, with the key and what it is to look like."""
    text = config.fresh().replace("\nnames = []", f"\nnames = [{name!r}]")
    with pytest.raises(ConfigError, match=r"`web\.names`: .* write it like 'feeder\.local'"):
        config.parse(text, tmp_path / "config.toml")
    for good in ("feeder.local", "nest", "192.0.2.1", "2001:db8::1"):
        config.parse(text.replace(repr(name), repr(good)), tmp_path / "config.toml")


def test_addresses_say_whom_they_reach() -> None:
    """Only what nothing but this computer reaches needs no password."""
    assert all(map(listening.is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(listening.is_loopback, ("0.0.0.0", "::", "192.0.2.1")))
    with pytest.raises(FeederError, match="no address of this computer"):
        listening.is_loopback("no.such.name.invalid")
