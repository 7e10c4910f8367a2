"""An SQLite database for others to browse, as Datasette or any other program does.

The log itself is no such thing: it holds who said what, where files lie and where the feeder hangs.
This has visits, their frames, species and cameras, and nothing that tells of people. The SQL here
makes that file and never touches the log.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from feeder.clock import to_local, utc_text
from feeder.exports.claims import Claim, Form
from feeder.exports.places import Place
from feeder.exports.source import SOFTWARE, Frames, Source, all_frames
from feeder.exports.whole import whole_files

FORM = Form()

# Datasette labels a foreign key only where the column that it refers to is written out.
_SCHEMA = """
CREATE TABLE species (
    species_id       INTEGER PRIMARY KEY,
    name             TEXT NOT NULL UNIQUE,
    scientific_name  TEXT,
    taxon_rank       TEXT,
    ebird_code       TEXT,
    kind             TEXT NOT NULL
) STRICT;
CREATE TABLE deployment (
    deployment_id    INTEGER PRIMARY KEY,
    name             TEXT NOT NULL UNIQUE,
    timezone         TEXT,
    deployment_start TEXT NOT NULL,
    deployment_end   TEXT NOT NULL,
    latitude         REAL,
    longitude        REAL,
    coordinate_uncertainty INTEGER
) STRICT;
CREATE TABLE visit (
    visit_id         TEXT PRIMARY KEY,
    species_id       INTEGER NOT NULL REFERENCES species (species_id),
    deployment_id    INTEGER NOT NULL REFERENCES deployment (deployment_id),
    event_start      TEXT NOT NULL,
    event_end        TEXT NOT NULL,
    local_date       TEXT NOT NULL,
    local_hour       INTEGER NOT NULL,
    duration_seconds REAL NOT NULL,
    frames           INTEGER NOT NULL,
    classification_method TEXT NOT NULL,
    classification_probability REAL NOT NULL
) STRICT;
CREATE TABLE sighting (
    media_id         INTEGER PRIMARY KEY,
    visit_id         TEXT NOT NULL REFERENCES visit (visit_id),
    timestamp        TEXT NOT NULL,
    is_best          INTEGER NOT NULL,
    classification_method TEXT NOT NULL,
    classification_probability REAL
) STRICT;
"""

_INDEXES = """
CREATE INDEX visit_species ON visit (species_id, event_start);
CREATE INDEX visit_deployment ON visit (deployment_id, event_start);
CREATE INDEX visit_start ON visit (event_start);
CREATE INDEX visit_date ON visit (local_date);
CREATE INDEX sighting_visit ON sighting (visit_id);
CREATE VIRTUAL TABLE species_fts USING fts5
    (name, scientific_name, content='species', content_rowid='species_id');
INSERT INTO species_fts (species_fts) VALUES ('rebuild');
ANALYZE;
"""

_TOGETHER = 2000


def metadata_path(path: Path) -> Path:
    """Where what Datasette shows beside the database at `path` is kept."""
    return path.with_suffix(".metadata.json")


def write(path: Path, source: Source, *, coordinates: bool = False) -> list[Path]:
    """Writes the database and its metadata; their paths. `coordinates` are left out unless asked.

    Times are UTC; `local_date` and `local_hour` are those at the camera when a visit began.
    """
    with whole_files(path) as made, closing(sqlite3.connect(made / path.name)) as database:
        database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;"
        )
        database.executescript(_SCHEMA)
        database.execute("BEGIN")
        writer = _Writer(database)
        for place in source.places.values():
            writer.add_place(place, coordinates)
        for claim, frames in source.with_frames(all_frames):
            writer.add(claim, frames)
        writer.flush()
        database.commit()
        database.executescript(_INDEXES)
        database.commit()
        metadata_path(made / path.name).write_text(
            json.dumps(_metadata(path.stem, source), indent=2, ensure_ascii=False) + "\n",
            encoding="utf-8",
        )
    source.account.rows |= {
        "visit": source.account.visits,
        "sighting": writer.sightings,
        "species": len(writer.species),
    }
    return [path, metadata_path(path)]


class _Writer:
    """Puts rows into the tables, some thousand at a time."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.species: dict[str, int] = {}
        self._deployments: dict[str, int] = {}
        self._visits: list[tuple[Any, ...]] = []
        self._sightings: list[tuple[Any, ...]] = []
        self.sightings = 0

    def add_place(self, place: Place, coordinates: bool) -> None:
        self._deployments[place.camera] = number = len(self._deployments) + 1
        has_place = coordinates and place.latitude is not None
        where = (place.latitude, place.longitude, place.uncertainty) if has_place else (None,) * 3
        self._database.execute(
            "INSERT INTO deployment VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                place.camera,
                place.zone.key if place.zone else None,
                utc_text(place.began),
                utc_text(place.ended),
                *where,
            ),
        )

    def add(self, claim: Claim, frames: Frames) -> None:
        visit, _, place = claim
        local = to_local(visit.start, place.zone)
        self._visits.append(
            (
                visit.visit_id,
                self._species(claim),
                self._deployments[visit.deployment],
                utc_text(visit.start),
                utc_text(visit.end),
                f"{local:%Y-%m-%d}",
                local.hour,
                visit.duration.total_seconds(),
                len(visit.media_ids),
                "human" if visit.is_by_person else "machine",
                round(visit.confidence, 4),
            )
        )
        self._sightings += _sightings(claim, frames)
        if len(self._visits) + len(self._sightings) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Writes what waits."""
        self._database.executemany(
            f"INSERT INTO visit VALUES ({', '.join('?' * 11)})", self._visits
        )
        self._database.executemany(
            f"INSERT INTO sighting VALUES ({', '.join('?' * 6)})", self._sightings
        )
        self.sightings += len(self._sightings)
        self._visits.clear()
        self._sightings.clear()

    def _species(self, claim: Claim) -> int:
        label, taxon = claim.visit.label, claim.taxon
        if label.name not in self.species:
            self.species[label.name] = len(self.species) + 1
            self._database.execute(
                "INSERT INTO species VALUES (?, ?, ?, ?, ?, ?)",
                (
                    self.species[label.name],
                    label.name,
                    taxon.verbatim or None,
                    taxon.rank or None,
                    label.ebird_code or None,
                    str(label.kind),
                ),
            )
        return self.species[label.name]


def _sightings(claim: Claim, frames: Frames) -> Iterator[tuple[Any, ...]]:
    """A visit's frames; one that was read otherwise has no probability of its own here."""
    visit = claim.visit
    for frame in frames.values():
        is_read_so = frame.label == visit.label.name
        yield (
            frame.media_id,
            visit.visit_id,
            utc_text(frame.captured_at),
            int(frame.media_id == visit.best),
            "human" if frame.is_by_person else "machine",
            frame.probability if is_read_so else None,
        )


def _metadata(name: str, source: Source) -> dict[str, Any]:
    """Titles, units and facets as Datasette's `metadata.json` gives them."""
    said, account = source.said, source.account
    found: dict[str, Any] = {
        "title": f"Visits to a bird feeder{f': {said.location}' if said.location else ''}",
        "description": f"{account.visits} visits before an automatic camera, of which a person"
        f" confirmed {account.confirmed}; the others were named by software alone. Individuals were"
        f" not counted. Times are UTC. Written by {SOFTWARE}.",
        "databases": {
            name: {
                "tables": {
                    "visit": {
                        "description": "One stay of one species before one camera",
                        "facets": ["species_id", "deployment_id", "classification_method"],
                        "sort_desc": "event_start",
                        "units": {"duration_seconds": "s"},
                        "columns": {
                            "local_date": "the day at the camera on which it began",
                            "classification_probability": "mean over its frames",
                        },
                    },
                    "sighting": {
                        "description": "The frames of each visit",
                        "sort_desc": "timestamp",
                        "columns": {
                            "classification_probability": "what the frame gave the visit's species;"
                            " empty where a person named it, or it was read as something else"
                        },
                    },
                    "species": {"label_column": "name", "fts_table": "species_fts",
                                "fts_pk": "species_id", "facets": ["kind", "taxon_rank"]},
                    "deployment": {"label_column": "name", "description": "Cameras",
                                   "units": {"coordinate_uncertainty": "m"}},
                }
            }
        },
    }  # fmt: skip
    if said.license:
        found["license"] = said.license
    return found
