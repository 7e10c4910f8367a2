"""What is known of a place: lists, bar charts, continents, and what they do to verdicts."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeder import bar_chart, config, doctor, region, service, species_list
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle, Thresholds, golden_image, shipped_models
from feeder.classifier import Classifier, as_kept
from feeder.domain import Kind, Label
from feeder.encoder import unit
from feeder.errors import ConfigError, VocabularyError
from feeder.label_embeddings import bundle_labels
from feeder.seasons import MONTHS, WEEKS, week_of, weeks_of
from feeder.species_list import ListedSpecies
from feeder.species_prior import ABSENT, Locality, expect, log_prior, weigh
from feeder.verdicts import Choices, Context, decide
from feeder.vocabulary import Vocabulary

ROBIN = Label("European Robin", Kind.BIRD, "Erithacus rubecula", "eurrob1", ("Robin",))
SISKIN = Label("Eurasian Siskin", Kind.BIRD, "Spinus spinus", "eursis")
BULBUL = Label("Red-vented Bulbul", Kind.BIRD, "Pycnonotus cafer", "revbul")
PIGEON = Label("Rock Pigeon", Kind.BIRD, "Columba livia", "rocpig")
SPARROW = Label("Sparrow", Kind.BIRD, "Passeridae")
PLAIN = Label("Little Brown Job", Kind.BIRD)
ANY = Label("Other bird", Kind.BIRD, "Aves", "bird1")
CAT, EMPTY = Label("cat", Kind.MAMMAL), Label("empty feeder", Kind.BLANK)
LABELS = (ROBIN, SISKIN, BULBUL, PIGEON, SPARROW, PLAIN, ANY, CAT, EMPTY)
NOVEMBER = datetime(2026, 11, 20, 12, tzinfo=UTC)
JULY = datetime(2026, 7, 20, 12, tzinfo=UTC)


def listed(*entries: str, tmp_path: Path) -> tuple[ListedSpecies, ...]:
    """A list of birds with these lines."""
    path = tmp_path / "birds.txt"
    path.write_text("\n".join(entries), encoding="utf-8")
    return species_list.read(path)


def factors(place: Locality, at: datetime, own: Sequence[str] = ()) -> dict[str, float]:
    """Each label's factor at that instant."""
    expected = expect(place, LABELS, own)
    return {
        label.name: pytest.approx(float(factor))
        for label, factor in zip(LABELS, expected.factors[expected.week(at)], strict=True)
    }


# Weeks and lists


@pytest.mark.parametrize(
    ("day", "zone", "week"),
    [
        ("2026-01-01T00:00:00+00:00", "UTC", 0),
        ("2026-01-07T23:59:00+00:00", "UTC", 0),
        ("2026-01-08T00:00:00+00:00", "UTC", 1),
        ("2026-12-31T12:00:00+00:00", "UTC", 47),
        ("2026-12-31T12:00:00+00:00", "Pacific/Auckland", 0),
        ("2026-03-01T02:00:00+00:00", "America/New_York", 7),
    ],
)
def test_a_month_has_four_weeks_where_the_camera_is(day: str, zone: str, week: int) -> None:
    """Weeks begin on the 1st, 8th, 15th and 22nd of the place's own calendar."""
    assert week_of(datetime.fromisoformat(day), ZoneInfo(zone)) == week


def test_a_list_has_names_months_and_comments(tmp_path: Path) -> None:
    """Months are numbers or names, and a range may go over the new year."""
    found = listed(
        "\ufeff# my garden",
        "",
        "European Robin",
        "Siskin: 10\u20133, May # in winter",
        "eurrob1: Dec-Jan",
        tmp_path=tmp_path,
    )
    assert [one.name for one in found] == ["European Robin", "Siskin", "eurrob1"]
    assert [sorted(one.months) for one in found] == [
        list(range(1, 13)),
        [1, 2, 3, 5, 10, 11, 12],
        [1, 12],
    ]
    assert [one.line for one in found] == [3, 4, 5]


@pytest.mark.parametrize(
    "line", ["Siskin: 13", "Siskin:", ": 3", "Siskin: winter", "Siskin: 1-2-3"]
)
def test_a_wrong_line_is_named(line: str, tmp_path: Path) -> None:
    """A list that cannot be understood is refused with the line's number."""
    with pytest.raises(ConfigError, match="line 2"):
        listed("Robin", line, tmp_path=tmp_path)


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Missing files, folders and other encodings are errors in words."""
    (tmp_path / "latin.txt").write_bytes("Grünfink".encode("latin-1"))
    for name in ("latin.txt", "missing.txt", "."):
        with pytest.raises(ConfigError) as caught:
            species_list.read(tmp_path / name)
        assert caught.value.hint


# Bar charts


def chart_text(*rows: str, taxa: int | None = None, checklists: float = 100) -> str:
    """A bar chart's file with these rows, in eBird's form."""
    months = "".join(f"\t{month[:3]}\t\t\t" for month in MONTHS)
    sizes = "\t".join([str(float(checklists))] * WEEKS)
    head = "\n\nFrequency of observations in the selected location(s).:\n"
    stated = len(rows) if taxa is None else taxa
    return f"{head}Number of taxa: \t{stated}\n\n{months}\t\nSample Size:\t{sizes}\t\n\n" + "".join(
        f"{row}\t\n" for row in rows
    )


def row(name: str, share: float, months: range = range(1, 13)) -> str:
    """A taxon's line: the share in these months, 0 in the others."""
    return "\t".join([name, *(str(share if here else 0.0) for here in weeks_of(months))])


CHART = (
    row('European Robin (<em class="sci">Erithacus rubecula</em>)', 0.5),
    row('Tarin des aulnes (<em class="sci">Spinus spinus</em>)', 0.2, range(10, 13)),
    row('Rock Pigeon (Feral Pigeon) (<em class="sci">Columba livia (Feral Pigeon)</em>)', 0.002),
    row('House/Spanish Sparrow (<em class="sci">Passer domesticus/hispaniolensis</em>)', 0.1),
    row('finch sp. (<em class="sci">Fringillidae sp.</em>)', 0.1),
    row('Mallard x Muscovy Duck (hybrid) (<em class="sci">A. x C.</em>)', 0.1),
)


def read_chart(text: str, tmp_path: Path) -> bar_chart.BarChart:
    """That text as a bar chart."""
    path = tmp_path / "chart.txt"
    path.write_text(text, encoding="utf-8")
    return bar_chart.read(path)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_bar_chart_gives_species_and_their_weeks(newline: str, tmp_path: Path) -> None:
    """Names lose their markup, forms count for their species, and what is several is left out."""
    chart = read_chart(chart_text(*CHART).replace("\n", newline), tmp_path)
    assert [(taxon.name, taxon.scientific_name) for taxon in chart.taxa] == [
        ("European Robin", "Erithacus rubecula"),
        ("Tarin des aulnes", "Spinus spinus"),
        ("Rock Pigeon", "Columba livia"),
    ]
    assert chart.checklists.tolist() == [100.0] * WEEKS
    assert chart.taxa[1].frequency[36:].tolist() == pytest.approx([0.2] * 12)
    assert not chart.taxa[1].frequency[:36].any()


def test_an_older_bar_chart_has_names_alone(tmp_path: Path) -> None:
    """Without scientific names, in scientific notation and with empty cells it is read as well."""
    cells = ["9.132E-4", "", *["0.0"] * 46]
    chart = read_chart(chart_text("\t".join(["Rock Pigeon", *cells])), tmp_path)
    assert chart.taxa[0].scientific_name == ""
    assert chart.taxa[0].frequency[:2].tolist() == pytest.approx([9.132e-4, 0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("Sample Size", "Size"), "Sample Size"),
        (lambda text: text.replace("Sample Size:\t100.0", "Sample Size:"), "47 numbers"),
        (lambda text: text.replace("0.5\t", "1.5\t", 1), "more than 1"),
        (lambda text: text.replace("0.5\t", "-0.5\t", 1), "negative"),
        (lambda text: text.replace("0.5\t", "nan\t", 1), "negative or infinite"),
        (lambda text: text.replace("0.5\t", "half\t", 1), "half"),
        (lambda text: text.replace("100.0", "0.0"), "no complete checklist"),
        (lambda text: text.replace("Number of taxa: \t6", "Number of taxa: \t60"), "6 of 60"),
        (lambda text: text.replace("Jan\t\t\t\tFeb", "Feb\t\t\t\tJan"), "not January to December"),
        (lambda text: text[: len(text) // 2], "line"),
        (lambda _: "name,count\nRobin,1\n", "no eBird bar chart"),
    ],
)
def test_a_damaged_bar_chart_is_refused(
    change: Callable[[str], str], said: str, tmp_path: Path
) -> None:
    """The error says what is wrong, and how such a file is downloaded."""
    with pytest.raises(ConfigError, match=said) as caught:
        read_chart(change(chart_text(*CHART)), tmp_path)
    assert caught.value.hint


# What is expected


def test_a_list_lowers_the_birds_that_are_not_on_it(tmp_path: Path) -> None:
    """In its months a listed bird is expected; what is no one species is left alone."""
    place = Locality("garden", "a list", listed("robin", "spinus spinus: 10-3", tmp_path=tmp_path))
    winter, summer = factors(place, NOVEMBER), factors(place, JULY)
    assert winter == {
        **dict.fromkeys((label.name for label in LABELS), 1),
        "Red-vented Bulbul": ABSENT,
        "Rock Pigeon": ABSENT,
        "Little Brown Job": ABSENT,
    }
    assert summer == {**winter, "Eurasian Siskin": ABSENT}
    expected = expect(place, LABELS)
    said = dict(
        zip((one.name for one in LABELS), expected.unlikely(expected.week(JULY)), strict=True)
    )
    assert said["Eurasian Siskin"] == "not on the list for garden in July"
    assert said["Red-vented Bulbul"] == "not on the list for garden"
    assert said["European Robin"] == said["cat"] == ""


def test_a_bar_chart_lowers_by_how_rarely_a_bird_is_reported(tmp_path: Path) -> None:
    """Above 1 % of the checklists it is expected, below in proportion, down to the floor."""
    place = Locality("garden", "a chart", chart=read_chart(chart_text(*CHART), tmp_path))
    winter, summer = factors(place, NOVEMBER), factors(place, JULY)
    assert (winter["European Robin"], winter["Eurasian Siskin"]) == (1, 1)
    assert winter["Rock Pigeon"] == pytest.approx(0.2)
    assert winter["Red-vented Bulbul"] == ABSENT
    assert winter["Sparrow"] == winter["Little Brown Job"] == winter["Other bird"] == 1
    # The year's mean counts for ten checklists beside the 300 of three weeks: 10 x 0.05 / 310.
    assert summer["Eurasian Siskin"] == pytest.approx(0.16, abs=0.01)
    expected = expect(place, LABELS)
    assert expected.unlikely(26)[1] == "seldom reported at garden in July"
    assert expected.unlikely(26)[2] == "not in the bar chart for garden"


def test_weeks_of_which_nobody_tells_are_as_the_year(tmp_path: Path) -> None:
    """Where hardly a checklist was made, a bird that is reported otherwise is not called rare."""
    text = chart_text(row("European Robin", 0.5, range(1, 7)))
    lines = [
        "\t".join(["Sample Size:", *["100.0"] * 24, *["0.0"] * 24, ""])
        if "Sample" in line
        else line
        for line in text.splitlines()
    ]
    place = Locality("garden", "a chart", chart=read_chart("\n".join(lines), tmp_path))
    assert factors(place, datetime(2026, 10, 3, tzinfo=UTC))["European Robin"] == 1


def test_the_list_has_the_first_word_and_the_chart_the_next(tmp_path: Path) -> None:
    """With both, a listed bird goes by the list, and any other by the chart."""
    place = Locality(
        "garden",
        "both",
        listed("Red-vented Bulbul", "European Robin: 6-8", tmp_path=tmp_path),
        read_chart(chart_text(*CHART), tmp_path),
    )
    winter = factors(place, NOVEMBER)
    assert (winter["Red-vented Bulbul"], winter["European Robin"]) == (1, ABSENT)
    assert winter["Eurasian Siskin"] == 1


def test_the_users_own_labels_are_expected_unless_named(tmp_path: Path) -> None:
    """Who added a label wants it; only a source that names it says when."""
    names = [SISKIN.name, BULBUL.name]
    place = Locality("garden", "a list", listed("Robin", "Siskin", "eursis: 1", tmp_path=tmp_path))
    found = factors(place, JULY, names)
    assert (found["Eurasian Siskin"], found["Red-vented Bulbul"]) == (ABSENT, 1)


def test_a_list_in_unknown_words_says_nothing(tmp_path: Path) -> None:
    """A list that names none of the labels would call every bird rare, and is passed over."""
    place = Locality("garden", "a list", listed("Rotkehlchen", tmp_path=tmp_path))
    assert (expect(place, LABELS).factors == 1).all()
    assert not place.names_any(LABELS)


def test_an_alias_is_no_reason_to_take_one_bird_for_another(tmp_path: Path) -> None:
    """ "Winter Wren" is a name of the European wren, and a species of its own in America."""
    wren = Label("Eurasian Wren", Kind.BIRD, "Troglodytes troglodytes", aliases=("Winter Wren",))
    american = row('Winter Wren (<em class="sci">Troglodytes hiemalis</em>)', 0.5)
    chart = read_chart(chart_text(american, row("European Robin", 0.5)), tmp_path)
    assert expect(Locality("g", "c", chart=chart), (wren, ROBIN)).factors[0].tolist() == [
        pytest.approx(ABSENT), 1
    ]  # fmt: skip
    nameless = read_chart(chart_text(row("Winter Wren", 0.5)), tmp_path)
    assert expect(Locality("g", "c", chart=nameless), (wren,)).factors[0].tolist() == [1]


@pytest.mark.parametrize(
    ("name", "latitude", "longitude"),
    [
        ("europe", 53.35, -6.26),
        ("europe", 60.17, 24.94),
        ("north-america", 40.7, -74.0),
        ("north-america", 61.2, -149.9),
        (None, -33.9, 151.2),
        (None, 19.4, -99.1),
        (None, None, 10.0),
    ],
)
def test_coordinates_choose_the_continent(
    name: str | None, latitude: float | None, longitude: float | None
) -> None:
    """Dublin and Helsinki, New York and Anchorage have a list; Sydney and Mexico City have none."""
    assert region.continent_at(latitude, longitude) == name


def test_the_starter_expects_no_birds_of_the_other_continent() -> None:
    """Birds of one shipped list alone are lowered on the other's continent, and nothing else."""
    labels = bundle_labels(Bundle.open(shipped_models() / "starter")).labels
    lowered = {}
    for name in region.BOXES:
        expected = expect(Locality("garden", "x", continent=region.continent(name)), labels)
        lowered[name] = {
            label.name
            for label, factor in zip(labels, expected.factors[0], strict=True)
            if factor < 1
        }
    assert {"Blue Jay", "Winter Wren", "Northern Cardinal"} <= lowered["europe"]
    assert {"European Robin", "Eurasian Wren", "Great Tit"} <= lowered["north-america"]
    assert lowered["europe"].isdisjoint(lowered["north-america"])
    both = {"House Sparrow", "European Starling", "Mallard", "Other bird", "squirrel", "person"}
    assert both.isdisjoint(lowered["europe"] | lowered["north-america"])


# What the prior does


def shares(*values: float) -> np.ndarray:
    """One picture's probabilities."""
    return np.array([values], np.float32)


BIRDS = np.array([True, True, True, False, False])
NAMES = (ROBIN, SISKIN, BULBUL, CAT, EMPTY)


def test_a_clear_picture_of_a_rare_bird_wins_and_a_doubtful_one_does_not() -> None:
    """At 50 to 1 against, 99.9 % stays a name, and 80 % goes to the next best."""
    prior = log_prior(np.array([1, 1, ABSENT, 1, 1]), np.zeros(5, bool))
    clear = weigh(shares(0.0005, 0.0002, 0.999, 0.0002, 0.0001), prior, BIRDS)[0]
    doubtful = weigh(shares(0.12, 0.05, 0.80, 0.02, 0.01), prior, BIRDS)[0]
    assert clear[2] > 0.9
    assert doubtful.argmax() == 0


@given(
    st.lists(st.floats(0, 1, width=32), min_size=5, max_size=5),
    st.lists(st.sampled_from([1.0, 0.3, ABSENT, 0.0]), min_size=5, max_size=5).filter(any),
)
def test_a_prior_moves_shares_among_birds_alone(raw: list[float], odds: list[float]) -> None:
    """Rows sum to 1 without NaN, blocked labels get nothing, and P(bird) is the picture's own."""
    share = np.array([raw], np.float32) + np.float32(1e-30)
    share /= share.sum()
    blocked = np.array(odds) == 0
    prior = log_prior(np.where(blocked, 1, odds), blocked)
    got = weigh(share, prior, BIRDS)
    assert np.isfinite(got).all()
    assert got.sum() == pytest.approx(1, abs=1e-4)
    assert not got[0, blocked].any()
    if not blocked[BIRDS].all() and not blocked[~BIRDS].all():
        assert got[0, BIRDS].sum() == pytest.approx(float(share[0, BIRDS].sum()), abs=1e-4)


def test_what_a_blocked_bird_had_alone_is_no_certainty_of_another() -> None:
    """A picture that is the blocked bird beyond doubt shows a bird, and no other one for sure."""
    labels = 100
    share = np.full((1, labels), 1e-9, np.float32)
    share[0, 0] = 1
    blocked = np.arange(labels) == 0
    got = weigh(share, log_prior(np.ones(labels), blocked), np.ones(labels, bool))[0]
    assert got.max() < 0.02
    share[0, 1], share[0, 0] = 0.1, 0.9
    assert weigh(share, log_prior(np.ones(labels), blocked), np.ones(labels, bool))[0, 1] > 0.98


def reason(own: Sequence[float], unlikely: Sequence[str], *, blocked: int | None = None) -> str:
    """What is said of a picture with these shares where those labels are unlikely."""
    is_blocked = np.arange(5) == (-1 if blocked is None else blocked)
    prior = log_prior(np.array([ABSENT if why else 1 for why in unlikely]), is_blocked)
    at = Thresholds(label=0.5, bird=0.6, blank=0.5)
    context = Context(at, log_prior=prior, unlikely=tuple(unlikely))
    said = decide(weigh(shares(*own), prior, BIRDS), Choices(NAMES), at, context)
    return said.reason(0, shares(*own)[0])


def test_the_reason_says_what_the_prior_changed() -> None:
    """A changed winner names the one it took the place of; one that won all the same is rare."""
    rare = ("", "", "not on the list for garden in November", "", "")
    assert reason((0.12, 0.03, 0.81, 0.03, 0.01), rare) == (
        "Red-vented Bulbul 0.81, but it is not on the list for garden in November; "
        "next best: European Robin 0.69"
    )
    assert reason((0.001, 0, 0.999, 0, 0), rare) == (
        "Red-vented Bulbul 0.95 (rare here: not on the list for garden in November)"
    )
    assert reason((0.05, 0.05, 0.88, 0.01, 0.01), ("", "", "blocked", "", ""), blocked=2) == (
        "Red-vented Bulbul 0.88, but it is blocked; P(bird) 0.98 >= 0.6, but European Robin 0.49 "
        "< 0.5"
    )
    assert reason((0.9, 0.05, 0.03, 0.01, 0.01), rare) == "European Robin 0.93"
    assert reason((0.1, 0.0, 0.2, 0.1, 0.6), rare) == "P(nothing there) 0.60 >= 0.5"


# In the program


@pytest.fixture
def birds(tiny_clip: Path) -> Callable[..., Classifier]:
    """The tiny model on four labels; the vocabulary's other fields are given."""

    def make(localities: dict[str, Locality] | None = None, **fields: object) -> Classifier:
        vocabulary = Vocabulary("v", ("{label}",), NAMES, **fields)  # type: ignore[arg-type]
        return Classifier(
            Bundle.open(tiny_clip), vocabulary, threads=1, localities=localities,
            thresholds=Thresholds(label=0, bird=0, blank=0.9),
        )  # fmt: skip

    return make


def test_context_follows_place_and_season(birds: Callable[..., Classifier], tmp_path: Path) -> None:
    """A deployment's frames are judged by its list in that week, others by the picture alone."""
    place = Locality("garden", "a list", listed("European Robin: 10-3", tmp_path=tmp_path))
    classifier = birds({"garden": place})
    winter = classifier.context("garden", NOVEMBER)
    assert winter is classifier.context("garden", NOVEMBER)
    assert winter.log_prior is not None
    assert winter.log_prior.tolist() == pytest.approx([0, *[np.log(ABSENT)] * 2, 0, 0])
    summer = classifier.context("garden", JULY)
    assert summer.log_prior is not None
    assert summer.log_prior[0] == pytest.approx(np.log(ABSENT))
    assert classifier.context("cabin", NOVEMBER).log_prior is None


def test_a_blocked_label_is_never_named(birds: Callable[..., Classifier]) -> None:
    """The next best is named wherever the picture is from, and the reason says why."""
    best = birds().classify_image(golden_image()).best
    assert best is not None
    classifier = birds(blocked=frozenset({best.label.name}))
    got = classifier.classify_image(golden_image())
    assert got.best is not None
    assert got.best.label != best.label
    assert f"{best.label.name} " in got.reason
    assert "but it is blocked" in got.reason
    assert classifier.embeddings.digest != birds().embeddings.digest
    with pytest.raises(VocabularyError, match="blocked"):
        birds(blocked=frozenset(label.name for label in NAMES))


def test_many_frames_at_once_are_weighed_as_each_alone(
    birds: Callable[..., Classifier], tmp_path: Path
) -> None:
    """What judges the whole log again comes to the verdict, and the reason, of the daemon."""
    place = Locality("garden", "a list", listed("European Robin", tmp_path=tmp_path))
    classifier = birds({"garden": place}, blocked=frozenset({"cat"}))
    context = classifier.context("garden", NOVEMBER)
    vectors = as_kept(unit(np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)))
    shares = classifier.probabilities(vectors, context)
    said = classifier.decide(shares, context)
    together = list(classifier.predictions(vectors, shares, said, range(30)))
    for vector, prediction in zip(vectors, together, strict=True):
        alone = classifier.judge(vector, context)
        assert alone.best is not None
        assert prediction.best is not None
        assert (alone.reason, alone.best.label) == (prediction.reason, prediction.best.label)
        assert alone.best.probability == pytest.approx(prediction.best.probability, abs=1e-5)
    assert any("next best" in prediction.reason for prediction in together)


def test_each_deployment_has_its_own_region(write_config: Callable[..., Path]) -> None:
    """A camera's own list counts instead of that under [region]; else its coordinates do."""
    path = write_config(region='species = "birds.txt"')
    text = path.read_text(encoding="utf-8")
    path.write_text(
        f'{text}[[deployment]]\nname = "cabin"\nfolder = "cabin"\nebird_barchart = "chart.txt"\n',
        encoding="utf-8",
    )
    path.with_name("birds.txt").write_text("European Robin\n", encoding="utf-8")
    path.with_name("chart.txt").write_text(chart_text(*CHART), encoding="utf-8")
    found = region.localities(config.load(path))
    assert found["garden"].source == "the list birds.txt"
    assert found["garden"].chart is None
    assert found["cabin"].source == "the bar chart chart.txt"
    assert found["cabin"].listed is None
    dublin = 'name = "garden"\nfolder = "snapshots"\nlatitude = 53.35\nlongitude = -6.26'
    found = region.localities(config.load(write_config(deployment=dublin)))
    assert found["garden"].source == "the shipped list of Europe"
    off = config.load(write_config(deployment=dublin, region='continent = "none"'))
    assert region.localities(off) == {}


def test_a_service_sees_lists_in_a_home(write_config: Callable[..., Path]) -> None:
    """A sandbox does not hide the homes where a list lies in one."""
    path = write_config(region='species = "/home/birder/birds.txt"')
    assert "ProtectHome=read-only" in service.unit(config.load(path), for_user=False)


def test_the_doctor_finds_misspelt_birds(write_config: Callable[..., Path]) -> None:
    """A name near a label's is told; birds of a longer list that the vocabulary lacks are not."""
    settings = config.load(write_config(region='species = "birds.txt"'))
    labels = vocabularies.read(shipped_models() / "vocabularies" / "europe.toml").labels
    birds = settings.path.with_name("birds.txt")
    for text, well, said in (
        ("European Robin\nCoal Tits\n", False, "'Coal Tits' (Coal Tit?)"),
        ("European Robin\nBlue Jay\nNorthern Lapwing\n", True, "2 of its 3 names"),
        ("Rotkehlchen\n", False, "names no bird"),
        ("Robin: 13\n", False, "line 1"),
        ("European Robin\n", True, "by the list birds.txt"),
    ):
        birds.write_text(text, encoding="utf-8")
        (check,) = doctor.region_checks(settings, labels)
        assert (check.name, check.well) == ("region (garden)", well)
        assert said in check.found
        assert check.well or check.mend
