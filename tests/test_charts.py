from datetime import date, timedelta
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from feeder.web import charts

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str) -> ElementTree.Element:
    """The drawing as a browser would read it."""
    return ElementTree.fromstring(
        str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    )


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
def test_bars_stay_in_the_drawing_and_are_as_high_as_their_counts(counts: list[int]) -> None:
    """Each count that is not zero has a bar within the drawing; a higher one has no lower bar."""
    chart = charts.bars("b", "Visits", [(str(n), count) for n, count in enumerate(counts)], {})
    bars = drawn(chart.svg).findall(f"{SVG}rect")
    some = [count for count in counts if count]
    assert len(bars) == len(some)
    heights = [float(bar.get("height", "")) for bar in bars]
    for bar, height in zip(bars, heights, strict=True):
        assert 0 <= float(bar.get("x", "")) <= 480 - float(bar.get("width", "")) + 0.1
        assert float(bar.get("width", "")) > 0 and height >= 2
        assert abs(float(bar.get("y", "")) + height - (charts.HEIGHT - 16)) < 0.2
    pairs = sorted(zip(some, heights, strict=True))
    assert [height for _, height in pairs] == sorted(heights)


def test_a_chart_has_a_name_and_says_its_most() -> None:
    """Who cannot see it hears what it shows, and finds all of it in its rows."""
    chart = charts.by_hour("hours", [0] * 8 + [3, 1] + [0] * 14)
    root = drawn(chart.svg)
    assert root.get("role") == "img" and root.get("aria-labelledby") == "hours-title hours-said"
    assert root.findtext(f"{SVG}desc") == "4 in all; most, 3, at 08:00"
    assert chart.rows[8] == ("08:00", 3)


def test_no_name_becomes_markup() -> None:
    """What stands in a chart is text, whatever it is."""
    svg = charts.bars("b", "<script>", [("<b>", 1)], {0: "<i>&"}).svg
    assert "<script>" not in svg and "<b>" not in svg and "<i>" not in svg
    assert drawn(svg).findtext(f"{SVG}title") == "<script>"
    assert "<u>" not in charts.spark([1], '"<u>')


def test_weeks_end_with_the_current_one() -> None:
    """Days of the last week are in the last bar, and those before the first week in none."""
    today = date(2026, 5, 6)
    days = {
        today: 2,
        today - timedelta(days=2): 3,
        today - timedelta(days=3): 1,
        date(2020, 1, 1): 9,
    }
    rows = charts.by_week("w", days, today, 4).rows
    assert [count for _, count in rows] == [0, 0, 1, 5]
    assert rows[-1][0] == "week of 2026-05-04"


def test_seasons_take_the_years_together() -> None:
    """January of any year is January."""
    rows = charts.by_month(
        "m", {date(2025, 1, 3): 2, date(2026, 1, 9): 3, date(2026, 12, 1): 1}
    ).rows
    assert (rows[0], rows[11]) == (("Jan", 5), ("Dec", 1))


def test_a_calendar_has_each_day_once() -> None:
    """A leap year has 366 days, each in the row of its weekday; those with visits are links."""
    days = {date(2024, 2, 29): 4, date(2024, 12, 31): 1, date(2023, 1, 1): 7}
    root = drawn(charts.year(2024, days, (1, 2, 3, 4), lambda day: f"/?day={day}&a=<"))
    assert len(root.findall(f".//{SVG}rect")) == 366
    links = {link.get("href"): link for link in root.findall(f"{SVG}a")}
    assert list(links) == ["/?day=2024-02-29&a=<", "/?day=2024-12-31&a=<"]
    leap = links["/?day=2024-02-29&a=<"].find(f"{SVG}rect")
    assert leap is not None and leap.get("class") == "heat-4"
    assert float(leap.get("y", "")) == 14 + 13 * date(2024, 2, 29).weekday()
    assert root.get("aria-label") == "2024: 5 visits"


@given(st.lists(st.integers(0, 500), max_size=400))
def test_levels_rise(counts: list[int]) -> None:
    """The levels' least counts rise from one; none is none."""
    steps = charts.steps(counts)
    assert steps[0] == 1 and list(steps) == sorted(set(steps))
    assert charts.level(0, steps) == 0
    assert all(charts.level(count, steps) >= 1 for count in counts if count)
