"""eBird's bar charts: how often each bird is reported from a place in each week of the year.

"Download Histogram Data" below a bar chart on ebird.org gives a tab-separated text file:

    Frequency of observations in the selected location(s).:
    Number of taxa: <tab>121
    <tab>Jan<tab><tab><tab><tab>Feb ...
    Sample Size:<tab>0.0<tab>2.0 ...                 complete checklists, for each of 48 weeks
    Common Eider (<em class="sci">Somateria mollissima</em>)<tab>0.25 ...    the share of them

The format was checked against the sample that Cornell's R package `auk` carries, a download of
before 2025, in which taxa have English names alone; the scientific names in `<em>` are as other
readers of these files describe them. No file was downloaded from eBird to try this with.
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feeder.domain import Vectors
from feeder.errors import ConfigError
from feeder.plain_text import plain
from feeder.seasons import MONTHS, WEEKS
from feeder.species_list import lines_of

_DOWNLOAD = (
    'On ebird.org choose Explore, Bar Charts, a region and all months, then "Download Histogram '
    'Data".'
)
_SCIENTIFIC = re.compile(r"\(?\s*<em[^>]*>(?P<name>[^<]*)</em>\s*\)?")
_TAG = re.compile(r"<[^>]*>")
_FORM = re.compile(r"\s*[(\[].*$")
"""A form of a species: `Rock Pigeon (Feral Pigeon)`, `Junco hyemalis [oreganus Group]`."""


@dataclass(frozen=True, slots=True)
class Taxon:
    """A species and the share of complete checklists, float32 [48] in [0, 1], it is on.

    `scientific_name` is "" where the file gives none.
    """

    name: str
    scientific_name: str
    frequency: Vectors


@dataclass(frozen=True, slots=True)
class BarChart:
    """`checklists`, float32 [48], are how many complete ones there are in each week of the year.

    `taxa` are species: forms count for theirs, and slashes, spuhs and hybrids are left out.
    """

    checklists: Vectors
    taxa: tuple[Taxon, ...]


def read(path: Path) -> BarChart:
    """The bar chart in the file at `path`. Raises ConfigError naming what is wrong, and where."""
    checklists: Vectors | None = None
    stated = rows = 0
    species: dict[tuple[str, str], Vectors] = {}
    for number, line in enumerate(lines_of(path), start=1):
        cells = line.split("\t")
        first = cells[0].strip()
        if number <= 40 and (found := re.match(r"number of taxa\s*:\s*(\d*)", line, re.IGNORECASE)):
            stated = int(found[1] or 0)
        elif checklists is None:
            if first.casefold().startswith("sample size"):
                checklists = _numbers(cells, path, number)
            elif not first and any(cell.strip() for cell in cells):
                _check_months(cells, path)
        elif any(cell.strip() for cell in cells):
            rows += 1
            frequency = _numbers(cells, path, number)
            if frequency.max() > 1:
                raise _damaged(path, number, "a share of the checklists is more than 1")
            if (names := _species(first)) is not None:
                species[names] = np.maximum(species.get(names, np.float32(0)), frequency)
    if checklists is None:
        raise ConfigError(
            f'{path} is no eBird bar chart: no line begins "Sample Size:".', _DOWNLOAD
        )
    if rows < stated or not species:
        raise ConfigError(f"{path} is cut short: {rows} of {stated or 'its'} taxa.", _DOWNLOAD)
    if not checklists.any():
        raise ConfigError(
            f"{path} is made from no complete checklist.", "Choose a larger region or more years."
        )
    return BarChart(checklists, tuple(Taxon(*names, species[names]) for names in species))


def _check_months(cells: Sequence[str], path: Path) -> None:
    """The months must be all there, for a column is known by its place alone."""
    months = [cell.strip() for cell in cells if cell.strip()]
    if months != [month[:3] for month in MONTHS]:
        said = plain(" ".join(months))[:80]
        raise ConfigError(f"{path} has the months {said!r}, not January to December.", _DOWNLOAD)


def _numbers(cells: Sequence[str], path: Path, number: int) -> Vectors:
    """The 48 numbers behind a line's first cell; empty ones are 0."""
    values = [cell.strip() for cell in cells[1:]]
    if values and not values[-1]:
        values.pop()  # lines end with a tab
    if len(values) != WEEKS:
        raise _damaged(path, number, f"{len(values)} numbers instead of {WEEKS}")
    try:
        found = np.array([float(value or 0) for value in values], np.float32)
    except ValueError as error:
        raise _damaged(path, number, str(error)) from error
    if not np.isfinite(found).all() or found.min() < 0:
        raise _damaged(path, number, "a number is negative or infinite")
    return found


def _damaged(path: Path, number: int, what: str) -> ConfigError:
    return ConfigError(f"{path}, line {number}: {plain(what)}.", _DOWNLOAD)


def _species(cell: str) -> tuple[str, str] | None:
    """Common and scientific name of a taxon; None for one that is not of one species."""
    found = _SCIENTIFIC.search(cell)
    scientific = html.unescape(found["name"]).strip() if found else ""
    common = html.unescape(_TAG.sub("", _SCIENTIFIC.sub("", cell))).strip()
    if any("/" in name or " x " in name or name.endswith(" sp.") for name in (common, scientific)):
        return None
    common, scientific = _FORM.sub("", common), _FORM.sub("", scientific)
    if "/" in common or common.endswith(" sp.") or not common:
        return None
    return common, " ".join(scientific.split()[:2])
