"""The settings -> what is known of the birds at each deployment, and from where."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Literal

from feeder import bar_chart, species_list
from feeder import vocabulary as vocabularies
from feeder.bundle import shipped_models
from feeder.config import Settings
from feeder.domain import Deployment, Kind, Label
from feeder.species_prior import Continent, Locality
from feeder.vocabulary import names, spelling

ContinentName = Literal["europe", "north-america"]

BOXES: Mapping[ContinentName, tuple[float, float, float, float]] = {
    "europe": (34.0, 72.0, -32.0, 45.0),  # the Azores to the Caucasus, Crete to the North Cape
    "north-america": (24.0, 72.0, -170.0, -52.0),  # the United States and Canada, not Hawaii
}
"""South, north, west and east of the places each shipped list is for, in degrees, WGS 84."""

_NAMES: Mapping[ContinentName, str] = {"europe": "Europe", "north-america": "North America"}

_MISSPELT = 0.85
"""How alike, of 1, a name on a list and a label are of which one is the other misspelt."""


def localities(settings: Settings) -> dict[str, Locality]:
    """What is known of each deployment's birds, by its name; those without are left out.

    Raises ConfigError for a list or a bar chart that cannot be read.
    """
    found = (locality(deployment, settings) for deployment in settings.deployments)
    return {one.deployment: one for one in found if one.source}


def continent_at(latitude: float | None, longitude: float | None) -> ContinentName | None:
    """The continent with a shipped list that a place is on; None elsewhere, or if unknown."""
    if latitude is None or longitude is None:
        return None
    for name, (south, north, west, east) in BOXES.items():
        if south <= latitude <= north and west <= longitude <= east:
            return name
    return None


def continent(name: ContinentName) -> Continent:
    """The shipped birds of a continent, and those of the others."""
    elsewhere = (bird for other in BOXES if other != name for bird in _birds(other))
    return Continent(_NAMES[name], _birds(name), tuple(elsewhere))


def locality(deployment: Deployment, settings: Settings) -> Locality:
    """What is known of the birds at `deployment`, with no `source` where that is nothing.

    Raises ConfigError for a list or a bar chart that cannot be read.
    """
    listed, chart = settings.region_files(deployment.name)
    words = []
    if listed is not None:
        words.append(f"the list {listed.name}")
    if chart is not None:
        words.append(f"the bar chart {chart.name}")
    where: ContinentName | None = None
    if not words:
        chosen = settings.region.continent
        if chosen == "auto":
            where = continent_at(deployment.latitude, deployment.longitude)
        elif chosen != "none":
            where = chosen
    if where is not None:
        words.append(f"the shipped list of {_NAMES[where]}")
    return Locality(
        deployment.name,
        " and ".join(words),
        listed=species_list.read(listed) if listed else None,
        chart=bar_chart.read(chart) if chart else None,
        continent=continent(where) if where else None,
        zone=deployment.zone,
    )


@cache
def _birds(name: ContinentName) -> tuple[Label, ...]:
    vocabulary = vocabularies.read(shipped_models() / "vocabularies" / f"{name}.toml")
    return tuple(
        label for label in vocabulary.labels if label.kind is Kind.BIRD and not label.is_any_bird
    )


def misspelt(listed: Iterable[str], labels: Sequence[Label]) -> Iterator[tuple[str, str]]:
    """The names of a list that no label has and that one probably means, with that label's name.

    A bird of a shipped list is spelt right, and a label that the list also names is not meant.
    """
    listed = list(listed)
    on_list = set(map(spelling, listed))
    shipped = {spelling(name) for one in BOXES for bird in _birds(one) for name in names(bird)}
    known = {spelling(name) for label in labels for name in names(label)}
    free = {
        spelling(label.name): label.name
        for label in labels
        if on_list.isdisjoint(map(spelling, names(label)))
    }
    for name in listed:
        if spelling(name) in known | shipped:
            continue
        close = difflib.get_close_matches(spelling(name), free, n=1, cutoff=_MISSPELT)
        if close:
            yield name, free[close[0]]


def unknown(listed: Iterable[str], labels: Sequence[Label]) -> list[str]:
    """The names of a list that no label has."""
    known = {spelling(name) for label in labels for name in names(label)}
    return [name for name in listed if spelling(name) not in known]
