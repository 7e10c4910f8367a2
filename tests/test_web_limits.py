"""How much the page takes of anybody."""

from collections.abc import Callable

import pytest
from fastapi import Request

from feeder.web.limits import MOST_ADDRESSES, RATES, SMALL_BODY, Buckets, Rate, network
from feeder.web.words import code
from tests.conftest import FakeClock
from tests.site import Site
from tests.web_app import HERE, Answer, Asker, asked

FEW = {kind: Rate(3, 0.5) for kind in RATES}
MULTIPART = {**HERE, "content-type": "multipart/form-data; boundary=b"}
"""An upload, as a browser sends it."""


def test_who_asks_too_often_waits_and_may_go_on(site: Site, time: FakeClock) -> None:
    """429 says when the next request is answered, and it is; another address never waits."""
    with asked(site, time.clock, rates=FEW) as ask:
        answers = [ask.get("/healthz") for _ in range(5)]
        assert [one.status for one in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].headers["retry-after"] == "2"
        assert "Try again in 2 s" in answers[-1].text
        assert ask.get("/healthz", client=("198.51.100.1", 1)).status == 200
        time.advance(2)
        assert [ask.get("/healthz").status for _ in range(2)] == [200, 429]
        time.advance(3600)
        assert [ask.get("/healthz").status for _ in range(4)] == [200, 200, 200, 429]


def test_looking_answering_and_asking_the_model_count_apart(site: Site, time: FakeClock) -> None:
    """Whoever has used up searches can still read, and answer."""
    kinds = {"reading": Rate(9, 1), "writing": Rate(4, 1), "working": Rate(2, 1)}
    with asked(site, time.clock, rates=kinds) as ask:

        def until_429(send: Callable[[str], Answer], target: str) -> int:
            return [send(target).status for _ in range(10)].index(429)

        assert until_429(ask.get, "/search?words=robin") == 2
        assert ask.post("/identify").status == 429
        assert ask.get("/search").status != 429, "the empty form costs nothing"
        assert until_429(ask.post, "/logout") == 4
        assert until_429(ask.get, "/healthz") == 8


def test_a_page_of_pictures_is_no_flood(site: Site, time: FakeClock) -> None:
    """Five hundred pictures at once are answered as shipped."""
    with asked(site, time.clock, rates=RATES) as ask:
        assert {ask.get("/healthz").status for _ in range(500)} == {200}


def test_memory_of_addresses_is_bounded(time: FakeClock) -> None:
    """However many addresses ask, no more are remembered than there is room for."""
    buckets = Buckets(FEW, time.clock)
    for number in range(MOST_ADDRESSES + 100):
        assert buckets.take("reading", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}") == 0
    assert len(buckets._left) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("", ""),
        ("a unix socket", "a unix socket"),
    ],
)
def test_whose_requests_count_together(address: str, counted: str) -> None:
    """An IPv4 address is one; of IPv6 a whole network is."""
    assert network(address) == counted


def take_bodies(ask: Asker) -> list[int]:
    """Adds a route that reads a whole body; the bytes of each that it got."""
    seen: list[int] = []

    async def taken(request: Request) -> None:
        seen.append(len(await request.body()))

    ask.app.add_api_route("/taken", taken, methods=["POST"])
    return seen


def upload(ask: Asker, chunks: list[bytes], **headers: str) -> tuple[Answer, int]:
    """The answer to an upload in chunks, and how many of them were not taken."""
    answer = ask.ask("POST", "/taken", {**MULTIPART, **headers}, chunks)
    return answer, ask.left


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_cut_off(declared: bool, site: Site) -> None:
    """With its length said it is not read at all; without, no further than to the limit."""
    web = site.settings.web.model_copy(update={"max_megabytes": 1.0})
    chunks = [bytes(100_000)] * 50
    length = {"content-length": "5000000"} if declared else {}
    with asked(site, settings=site.settings.model_copy(update={"web": web})) as ask:
        seen = take_bodies(ask)
        answer, left = upload(ask, chunks, **length)
        assert answer.status == 413 and "max_megabytes" in answer.text
        assert left == (50 if declared else 39)
        assert seen == []
        answer, left = upload(ask, chunks[:10])
        assert (answer.status, left, seen) == (200, 0, [1_000_000])


@pytest.mark.parametrize("length", ["1", "-5", "x", "9" * 400])
def test_a_length_that_is_not_true_changes_nothing(length: str, site: Site) -> None:
    """What comes is counted, whatever was said of it."""
    with asked(site) as ask:
        seen = take_bodies(ask)
        answer, _ = upload(ask, [bytes(1_000_000)] * 25, **{"content-length": length})
        assert answer.status == 413 and seen == []


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json", ""])
def test_what_uploads_nothing_is_small(kind: str, site: Site) -> None:
    """Only an upload may be as large as one."""
    with asked(site) as ask:
        take_bodies(ask)
        answer, _ = upload(ask, [bytes(SMALL_BODY), b"1"], **{"content-type": kind})
        assert answer.status == 413
        answer, _ = upload(ask, [bytes(SMALL_BODY)], **{"content-type": kind})
        assert answer.status == 200


def test_nobody_uploads_to_the_login(site: Site) -> None:
    """What needs no password takes no large body either."""
    with asked(site) as ask:
        part = b'--b\r\nContent-Disposition: form-data; name="password"; filename="a"\r\n\r\n'
        answer = ask.ask("POST", "/login", MULTIPART, [part, bytes(SMALL_BODY)])
        assert answer.status == 413


def test_a_body_that_stands_still_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose end does not come is answered 408 and holds nothing."""
    monkeypatch.setattr("feeder.web.limits.IDLE_SECONDS", 0.01)
    with asked(site) as ask:
        take_bodies(ask)
        answer = ask.ask("POST", "/taken", MULTIPART, [b"1", b""], stands_still=True)
        assert answer.status == 408


def test_what_is_code_in_a_sentence_is_set_as_code() -> None:
    """A page shows no backticks; what stands between them is escaped like everything else."""
    assert code("Set `a <b>` & go") == "Set <code>a &lt;b&gt;</code> &amp; go"
    assert code("a ` alone") == "a ` alone"
