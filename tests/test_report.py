"""`feeder report`: a day or a week as one page."""

import base64
import json
import os
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner, Result
from PIL import Image, ImageFilter
from playwright.sync_api import Page as BrowserPage

from feeder import visit_history
from feeder.cli import app
from feeder.domain import UNIDENTIFIED_BIRD, Box, Kind, Label, Visit
from feeder.errors import FeederError
from feeder.picture_log import PictureLog
from feeder.query_terms import NoSuchTime
from feeder.report import drawing, gathering, html_page, periods
from feeder.report.best_shots import Best, File, cut, find, framed, sharpness
from feeder.report.earlier import Earlier, look_back
from feeder.report.gathering import gather
from feeder.report.lettering import Lettering
from feeder.report.periods import Period
from feeder.report.shot_log import Shot, ShotLog
from feeder.report.words import first_shown
from feeder.sighting_log import SightingLog
from tests.sightings import ROBIN, SPARROW, SQUIRREL, SightedLog
from tests.site import BLUE_TIT, Site
from tests.test_evaluate import Page

DUBLIN = ZoneInfo("Europe/Dublin")
DAY = Period(date(2026, 5, 20), date(2026, 5, 20), DUBLIN)
MORNING = datetime(2026, 5, 20, 8, 30, tzinfo=DUBLIN)
DAYS = [timedelta(days=n) for n in range(10)]
PERSON = Label("person", Kind.HUMAN)
HOSTILE = Label("<b>Wren</b> & \"co\"", Kind.BIRD)  # fmt: skip


def visit(
    label: Label = ROBIN, at: datetime = MORNING, confidence: float = 0.9, trusted: bool = True
) -> Visit:
    """A visit of one frame, whose number is its minute."""
    number = int(at.timestamp() // 60)
    start = at.astimezone(UTC)
    return Visit(
        "garden", label, start, start, (number,), number, confidence, False, trusted=trusted
    )


def report_on(
    *visits: Visit,
    period: Period = DAY,
    today: date = DAY.last,
    earlier: Earlier | None = None,
    clear: int = 0,
) -> gathering.Report:
    """The report on a period from its visits; before it, every species was there."""
    seen = {one.label.name: period.first - DAYS[1] for one in visits}
    before = earlier or Earlier(seen)
    return gather(
        visits, period, "Home", lambda _: DUBLIN, today, lambda _: clear, lambda _: before,
        {"tit sp."},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "week", "hour", "first", "last"),
    [
        ("", False, 8, "2026-05-19", "2026-05-19"),
        ("", False, 13, "2026-05-20", "2026-05-20"),
        ("today", False, 8, "2026-05-20", "2026-05-20"),
        ("yesterday", False, 13, "2026-05-19", "2026-05-19"),
        ("2026-03-29", False, 13, "2026-03-29", "2026-03-29"),
        ("", True, 13, "2026-05-18", "2026-05-24"),
        ("2026-01-01", True, 13, "2025-12-29", "2026-01-04"),
    ],
)
def test_the_period(text: str, week: bool, hour: int, first: str, last: str) -> None:
    """Before noon the report is about yesterday; a week is the ISO week around its day."""
    now = datetime(2026, 5, 20, hour, tzinfo=DUBLIN)
    found = periods.chosen(text, week=week, now=now, zone=DUBLIN)
    assert (str(found.first), str(found.last)) == (first, last)


@pytest.mark.parametrize("text", ["2026-05-21", "soon", "2026-13-01", "0001-01-01"])
def test_no_period(text: str) -> None:
    """A day that is still to come, or that no clock can show, is refused by name."""
    now = datetime(2026, 5, 20, 13, tzinfo=DUBLIN)
    with pytest.raises(NoSuchTime, match=text):
        periods.chosen(text, week=True, now=datetime(2026, 5, 10, tzinfo=DUBLIN), zone=DUBLIN)
        periods.chosen(text, week=False, now=now, zone=ZoneInfo("Asia/Tokyo"))


def test_a_day_in_which_clocks_change_is_whole() -> None:
    """The day on which clocks go forward has 23 hours, and none of its neighbours'."""
    spring = Period(date(2026, 3, 29), date(2026, 3, 29), DUBLIN)
    assert spring.until - spring.since == timedelta(hours=23)


def test_titles_and_names() -> None:
    """A title reads as people say it, within a month, across months and across years."""
    assert DAY.title == "Wednesday, 20 May 2026"
    assert Period(date(2026, 5, 18), date(2026, 5, 24)).title == "18 to 24 May 2026"
    assert Period(date(2026, 4, 27), date(2026, 5, 3)).title == "27 April to 3 May 2026"
    turn = Period(date(2025, 12, 29), date(2026, 1, 4))
    assert turn.title == "29 December 2025 to 4 January 2026"
    assert (DAY.stem, turn.stem) == ("feeder-2026-05-20", "feeder-2026-W01")


def test_who_came_most_is_first() -> None:
    """Visits are counted by species and by the hour in which they began."""
    report = report_on(
        visit(), visit(at=MORNING + timedelta(hours=2)), visit(SPARROW), visit(SQUIRREL)
    )
    assert [(one.label, len(one.visits)) for one in report.guests] == [
        (ROBIN, 2), (SQUIRREL, 1), (SPARROW, 1),
    ]  # fmt: skip
    assert (report.visits, report.bird_species) == (4, 2)
    assert (report.by_hour[8], report.by_hour[10], report.busiest) == (3, 1, 8)
    assert report_on(visit(), visit(at=MORNING + timedelta(hours=2))).busiest is None, "a tie"


def test_people_are_never_in_it() -> None:
    """A visit that a person was named in is left out of pictures and counts."""
    assert report_on(visit(PERSON)).guests == ()


def test_what_is_new() -> None:
    """A species is news on its first day ever and after 60 whole days without it."""
    earlier = Earlier({
        ROBIN.name: DAY.first - timedelta(days=60), SPARROW.name: DAY.first - timedelta(days=61),
    })  # fmt: skip
    report = report_on(visit(), visit(SPARROW), visit(BLUE_TIT), earlier=earlier)
    assert {one.name: one.news for one in report.guests} == {
        ROBIN.name: "", SPARROW.name: "first of the season", BLUE_TIT.name: "first ever",
    }  # fmt: skip


def test_on_the_first_day_nothing_is_news() -> None:
    """When all that the log holds is of the period, everything would be a first."""
    report = report_on(visit(), visit(SPARROW), earlier=Earlier(begins=True))
    assert {one.news for one in report.guests} == {""}
    assert drawing.footnotes(report)[0] == "The first day in the log."


def test_what_nobody_is_sure_of_bears_a_question_mark() -> None:
    """It comes last, is no species for certain and no news."""
    report = report_on(visit(SPARROW), visit(confidence=0.3), earlier=Earlier())
    assert [one.name for one in report.guests] == ["House Sparrow", "European Robin?"]
    assert report.bird_species == 1
    assert report.guests[1].news == ""
    two = report_on(visit(confidence=0.3), earlier=Earlier(), clear=2)
    assert [(one.name, one.news) for one in two.guests] == [("European Robin", "first ever")]


def test_clear_frames_are_counted(tmp_path: Path) -> None:
    """Frames of that label alone, from that probability on; a person's word is clear."""
    log = SightedLog(tmp_path / "feeder.db")
    ids = [log.see(10.0 * n, ROBIN, share) for n, share in enumerate((0.95, 0.9, 0.89))]
    ids.append(log.see(60.0, SPARROW, 0.99))
    with ShotLog(log.path) as shots:
        assert shots.surely(ids, ROBIN.name, 0.9) == 2
        assert shots.surely(ids[2:3], ROBIN.name, 0.9) == 0
    log.logbook.close()


def test_groups_and_unidentified_birds_are_no_species() -> None:
    """They count as visits, and are never news."""
    tit = Label("tit sp.", Kind.BIRD)
    report = report_on(visit(tit), visit(UNIDENTIFIED_BIRD), earlier=Earlier())
    assert (report.visits, report.bird_species) == (2, 0)
    assert {one.news for one in report.guests} == {""}


def test_days_in_a_row_end_with_the_period() -> None:
    """They go on to its last day, or to today where it is not over, or are none."""
    six = Earlier(streak=6)
    assert report_on(visit(), earlier=six).streak == 7
    assert report_on(visit(SQUIRREL), earlier=six).streak == 0
    week = Period(date(2026, 5, 18), date(2026, 5, 24), DUBLIN)
    three = [visit(at=MORNING - DAYS[n]) for n in range(3)]
    assert report_on(*three, period=week, earlier=six).streak == 9
    assert report_on(*three[:2], period=week, earlier=six).streak == 2
    assert report_on(*three[1:], period=week, earlier=six).streak == 0


def test_what_was_before(tmp_path: Path) -> None:
    """The last days of names, days in a row and the beginning are read back from the log."""
    log = SightedLog(tmp_path / "feeder.db")
    at = DAY.since + timedelta(hours=6)
    for days in (1, 2, 3, 5):
        log.see(at - DAYS[days], SPARROW)
    log.see(at - timedelta(days=200), ROBIN)
    log.see(at - DAYS[4], SQUIRREL)
    log.see(at - DAYS[6], BLUE_TIT, trusted=False)
    log.see(at - DAYS[1], BLUE_TIT, camera="shed")
    log.see(at, ROBIN)
    names = [ROBIN.name, SPARROW.name, BLUE_TIT.name]
    sightings = SightingLog(log.path)
    found = look_back(sightings, names, DAY, 60, "garden")
    assert found.last_seen == {
        SPARROW.name: DAY.first - DAYS[1], ROBIN.name: DAY.first - timedelta(days=200),
    }  # fmt: skip
    assert (found.streak, found.begins) == (3, False)
    assert look_back(sightings, names, DAY, 60).last_seen[BLUE_TIT.name] == DAY.first - DAYS[1]
    first = Period(date(2025, 1, 1), date(2025, 1, 1), DUBLIN)
    assert look_back(sightings, names, first, 60) == Earlier(begins=True)
    log.logbook.close()


def test_undated_visits_are_counted_and_said() -> None:
    """A visit whose time nobody vouches for is in no hour."""
    report = report_on(visit(trusted=False))
    assert (report.visits, report.undated, sum(report.by_hour)) == (1, 1, 0)
    assert drawing.footnotes(report)[-1].startswith("1 visit is not in the chart")


def test_a_cut_keeps_shape_and_region() -> None:
    """It lies within the picture, has the shape asked for, and holds the region where it can."""
    draw = random.Random(1)
    for _ in range(500):
        picture = draw.randint(40, 4000), draw.randint(40, 4000)
        size = draw.choice([drawing.HERO, drawing.CARD])
        wide, high = draw.uniform(0.02, 1), draw.uniform(0.02, 1)
        region = Box(draw.uniform(0, 1 - wide), draw.uniform(0, 1 - high), wide, high)
        left, top, right, bottom = framed(region, picture, size)
        assert -1e-6 <= left < right <= picture[0] + 1e-6
        assert -1e-6 <= top < bottom <= picture[1] + 1e-6
        assert (right - left) / (bottom - top) == pytest.approx(size[0] / size[1])
        spare = 1e-6 + max(0.0, wide * picture[0] - (right - left))
        assert left <= region.x * picture[0] + spare
        assert right >= (region.x + wide) * picture[0] - spare


def test_a_small_region_is_not_blown_up() -> None:
    """Where a bird is far away, more of the picture is shown instead of large pixels."""
    left, _, right, _ = framed(Box(0.5, 0.5, 0.02, 0.02), (1600, 1200), (984, 656))
    assert right - left == pytest.approx(984 / 1.6)


def test_sharpness_tells_focus() -> None:
    """A picture out of focus has less detail than the same in focus."""
    noise = Image.effect_noise((300, 300), 60)
    assert sharpness(noise) > 3 * sharpness(noise.filter(ImageFilter.GaussianBlur(3)))
    assert sharpness(Image.new("RGB", (2, 2))) == 0


def saved(path: Path, image: Image.Image, quality: int = 95) -> Path:
    """The picture as a JPEG with EXIF and GPS in it."""
    exif = Image.Exif()
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x9286] = "SecretComment"
    image.save(path, "JPEG", exif=exif, comment=b"SecretComment", quality=quality)
    return path


def on(path: Path) -> File:
    """A picture that lies there."""
    return File(path, path.read_bytes)


def test_a_picture_is_cut_around_its_region(tmp_path: Path) -> None:
    """The bird is in the middle, undistorted; without a region a tall picture is shown whole."""
    image = Image.new("RGB", (1200, 900), (0, 0, 255))
    image.paste((255, 0, 0), (800, 400, 1000, 600))
    path = saved(tmp_path / "a.jpg", image)
    shot = Shot(1, False, 1200, 900, "x", 0.9, Box(800 / 1200, 400 / 900, 200 / 1200, 200 / 900))
    shown = cut(Best(shot, visit(), on(path), 1.0), (300, 200))
    assert shown is not None and shown.size == (300, 200)
    red = [
        (x, y) for x in range(300) for y in range(200) if _is(shown.getpixel((x, y)), (255, 0, 0))
    ]
    wide = max(x for x, _ in red) - min(x for x, _ in red)
    high = max(y for _, y in red) - min(y for _, y in red)
    assert wide == pytest.approx(high, abs=3)
    assert sum(x for x, _ in red) / len(red) == pytest.approx(150, abs=3)
    tall = Image.new("RGB", (400, 800), (0, 0, 255))
    tall.paste((0, 255, 0), (0, 0, 400, 40))
    path = saved(tmp_path / "b.jpg", tall)
    whole = Best(Shot(2, False, 400, 800, "x", 0.9, None), visit(), on(path), 1.0)
    shown = cut(whole, (300, 200))
    assert shown is not None and _is(shown.getpixel((150, 3)), (0, 255, 0))
    path.write_bytes(path.read_bytes()[:500])
    assert (
        cut(Best(Shot(2, False, 400, 800, "x", 0.9, None), visit(), on(path), 1.0), (9, 6)) is None
    )


def _is(pixel: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(one - other) < 60 for one, other in zip(pixel, colour, strict=True))


def test_letters_that_the_font_lacks() -> None:
    """They come from a font of the system, or lose their accents; none is an empty box."""
    plain = Lettering(["Čáp bílý, Łódź, Straße"], system_fonts=())
    assert plain.write("Čáp bílý, Łódź, Straße") == "Cap bily, Lodz, Strasse"
    assert plain.write("a\u202eb\n鳥") == "a b ?"
    assert Lettering(["Robin"]).write("Robin") == "Robin"
    fitted = plain.fitted("An endless name " * 20, 25, 300)
    assert plain.font(25).getlength(fitted) <= 300
    assert fitted.endswith("…")


@pytest.fixture
def told(site: Site) -> Callable[..., Result]:
    """Runs `feeder report` on the site; errors that users meet are raised."""

    def run(*arguments: str) -> Result:
        command = ["--config", str(site.config), "report", *arguments]
        return CliRunner().invoke(app, command, catch_exceptions=False)

    return run


def shown_report(root: Path) -> tuple[gathering.Report, dict[str, Best]]:
    """A report on a red robin, a green sparrow, a blue tit and one whose picture has gone."""
    colours = {ROBIN: (255, 0, 0), SPARROW: (0, 255, 0), BLUE_TIT: (0, 0, 255)}
    best = {}
    visits = [visit(label) for label in (*colours, HOSTILE)]
    for number, (label, colour) in enumerate(colours.items()):
        path = saved(root / f"{number}.jpg", Image.new("RGB", (600, 400), colour))
        shot = Shot(number, number == 0, 600, 400, label.name, 0.9, None)
        best[label.name] = Best(shot, visits[number], on(path), 0.5)
    return report_on(*visits), best


def test_the_picture_is_composed(tmp_path: Path) -> None:
    """The favorite is on top, the others below in a row; a gone picture leaves a plain card."""
    report, best = shown_report(tmp_path)
    image = drawing.draw(report, best)
    assert image.width == drawing.WIDTH and image.info == {}
    left, wide, high = drawing.MARGIN, *drawing.CARD
    top = drawing.MARGIN + 150
    assert _is(image.getpixel((540, top + 300)), (255, 0, 0))
    row = top + drawing.HERO[1] + 84 + high // 2
    # Of equal numbers of visits the names decide: "<b>Wren..." is before the others.
    step = wide + drawing.GAP
    middles = [image.getpixel((left + wide // 2 + n * step, row + 40)) for n in range(3)]
    assert middles[0] == drawing.EMPTY
    assert _is(middles[1], (0, 0, 255)) and _is(middles[2], (0, 255, 0))
    assert image.getpixel((left, top)) == drawing.PAPER, "corners are round"


def test_who_is_on_top(tmp_path: Path) -> None:
    """A favorite is, whatever it shows; else a bird told apart before one that was not, and the
    best shot of those."""
    guests = [(ROBIN, 0.3), (SPARROW, 0.9), (UNIDENTIFIED_BIRD, 0.9), (SQUIRREL, 0.9)]
    report = report_on(*(visit(label, confidence=share) for label, share in guests))
    scores = {ROBIN: 0.5, SPARROW: 0.1, UNIDENTIFIED_BIRD: 0.9, SQUIRREL: 0.99}
    best = {
        label.name: Best(Shot(1, False, 9, 9, "", 1, None), visit(label), on(tmp_path), score)
        for label, score in scores.items()
    }
    for expected in (SPARROW, ROBIN, UNIDENTIFIED_BIRD, SQUIRREL):
        top = first_shown(report, best)
        assert top is not None and top[0].label == expected
        del best[expected.name]
    assert first_shown(report, best) is None
    favorite = Shot(1, True, 9, 9, "", 1, None)
    best = {
        SPARROW.name: Best(Shot(2, False, 9, 9, "", 1, None), visit(SPARROW), on(tmp_path), 0.9),
        SQUIRREL.name: Best(favorite, visit(SQUIRREL), on(tmp_path), 0.1),
    }
    top = first_shown(report, best)
    assert top is not None and top[0].label == SQUIRREL


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_for_everybody(tmp_path: Path, page: BrowserPage, scheme: str) -> None:
    """In a real browser, light and dark, axe finds nothing and the policy blocks nothing."""
    report, best = shown_report(tmp_path)
    (tmp_path / "page.html").write_text(html_page.render(report, best, MORNING), encoding="utf-8")
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto((tmp_path / "page.html").as_uri())
    assert page.locator("img").evaluate_all("all => all.every(one => one.naturalWidth > 100)")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390


def test_nobody_came(tmp_path: Path) -> None:
    """A day without a visit gives a kind page in each form."""
    report = report_on()
    assert drawing.draw(report, {}).height > 300
    assert "Nobody came by." in Page(html_page.render(report, {}, MORNING)).text


def test_the_page_needs_nothing_and_lets_nothing_in(tmp_path: Path) -> None:
    """Names are text, every picture is inline with a text of its own and without metadata."""
    report, best = shown_report(tmp_path)
    html = html_page.render(report, best, MORNING)
    page = Page(html)
    assert page.text.count(HOSTILE.name) == 1
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "b"})
    images = list(page.all("img"))
    assert [one["alt"] for one in images] == [
        f"{label.name}, 08:30" for label in (ROBIN, BLUE_TIT, SPARROW)
    ]
    for one in images:
        kind, _, data = (one["src"] or "").partition(",")
        assert kind == "data:image/jpeg;base64"
        assert b"Secret" not in base64.b64decode(data)
    assert "no picture any more" in page.text
    (chart,) = page.all("svg")
    assert chart["aria-label"] == "Visits by hour: 4 from 8 to 9"
    assert "url(" not in html and "http" not in html.replace("http-equiv", "")


def test_a_report_of_a_log(tmp_path: Path, site: Site, told: Callable[..., Result]) -> None:
    """A file of each kind, with nothing of the pictures' metadata; a favorite is shown before surer
    shots, and a file that is there stays unless --force is said."""
    image = Image.new("RGB", (64, 64), (200, 90, 40))
    data = saved(tmp_path / "first.jpg", image).read_bytes()
    first = site.see(ROBIN, timedelta(minutes=50), 0.6, data=data)
    site.see(ROBIN, timedelta(minutes=20), 0.95)
    gone = site.see(SPARROW, timedelta(minutes=30))
    (site.deployment.folder / f"{gone}.jpg").unlink()
    site.see(UNIDENTIFIED_BIRD, timedelta(hours=3), 0.4)
    log = PictureLog.open(site.settings.database)
    with log.writing():
        log.set_favorite([first], True)
    log.close()
    for kind in ("PNG", "JPEG", "HTML"):
        output = site.root / f"today.{kind.lower()}"
        assert told("--day", "today", "-o", str(output)).stdout == f"{output}\n"
        data = output.read_bytes()
        assert b"Secret" not in data
        if kind != "HTML":
            with Image.open(output) as image:
                image.load()
                assert (image.format, image.width) == (kind, drawing.WIDTH)
                assert not image.getexif() and "comment" not in image.info
    with pytest.raises(FeederError, match="is there already"):
        told("-o", str(output))
    told("--day", "today", "-o", str(output), "--force")
    found = json.loads(told("--day", "today", "--json").stdout)
    assert [one["label"] for one in found["species"]] == [
        "European Robin", "House Sparrow", "unidentified bird",
    ]  # fmt: skip
    assert found["species"][0]["best_media_id"] == first
    assert found["species"][1]["picture"] is None
    assert found["output"] is None


def test_what_is_asked_wrongly(site: Site, told: Callable[..., Result]) -> None:
    """Two periods, an unknown ending, no such day: each is said in a sentence."""
    site.see(ROBIN)
    assert "choose one" in told("--day", "today", "--week", "today").output
    assert "does not end in .html, .png" in told("-o", "page.pdf").output
    assert "still to come" in told("--day", "2999-01-01").output
    with pytest.raises(FeederError, match="no folder"):
        told("-o", str(site.root / "nowhere" / "page.png"))


def test_without_a_value_the_period_is_chosen(site: Site, told: Callable[..., Result]) -> None:
    """`--week` alone is the week of the day that there is to tell of."""
    site.see(ROBIN)
    found = json.loads(told("--week", "--json").stdout)
    first, last = (date.fromisoformat(found[key]) for key in ("first_day", "last_day"))
    assert (first.weekday(), (last - first).days) == (0, 6)


def test_the_sharpest_of_like_frames_is_shown(tmp_path: Path, site: Site) -> None:
    """Of frames that are as sure and as large, the one in focus is chosen."""
    noise = Image.effect_noise((64, 64), 60).convert("RGB")
    ids = []
    for blur in (2, 0, 3):
        image = noise.filter(ImageFilter.GaussianBlur(blur))
        data = saved(tmp_path / "a.jpg", image, 60).read_bytes()
        ids.append(site.see(ROBIN, timedelta(minutes=10), data=data))
    assert _best_robin(site).shot.media_id == ids[1]


def test_a_favorite_that_is_gone_leaves_its_place(site: Site) -> None:
    """Where it cannot be read any more, the best of the others is shown."""
    ids = [site.see(ROBIN, timedelta(minutes=10)) for _ in range(3)]
    log = PictureLog.open(site.settings.database)
    with log.writing():
        log.set_favorite(ids[:1], True)
    log.close()
    assert _best_robin(site).shot.media_id == ids[0]
    (site.deployment.folder / f"{ids[0]}.jpg").write_bytes(b"broken")
    assert _best_robin(site).shot.media_id in ids[1:]


def test_another_picture_in_its_place_is_not_shown(site: Site) -> None:
    """A file as large and as old as the logged one that holds other bytes is passed over."""
    ids = [site.see(ROBIN, timedelta(minutes=10), share) for share in (0.9, 0.5)]
    path = site.deployment.folder / f"{ids[0]}.jpg"
    found, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert _best_robin(site).shot.media_id == ids[1]


def _best_robin(site: Site) -> Best:
    query = visit_history.VisitQuery()
    visits = visit_history.read(SightingLog(site.settings.database), DAYS[0], {}, query)
    period = Period(date(2000, 1, 1), date(2100, 1, 1))
    report = report_on(*visits, period=period)
    return find(site.settings, report.guests)[ROBIN.name]
