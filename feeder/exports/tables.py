"""Visits, or their frames, as plain tables: CSV and Parquet."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from feeder.clock import utc_text
from feeder.exports.cells import Sheet
from feeder.exports.claims import Claim, Form
from feeder.exports.source import Frames, Source, all_frames, local_text
from feeder.exports.whole import ExportError, whole_files

FORM = Form()

_ROW_GROUP = 20_000

_VISIT = {
    "event_id": "string",
    "event_start": "instant",
    "event_end": "instant",
    "local_start": "string",
    "duration_seconds": "number",
    "deployment": "string",
    "latitude": "number",
    "longitude": "number",
    "label": "string",
    "scientific_name": "string",
    "taxon_rank": "string",
    "ebird_code": "string",
    "kind": "string",
    "classification_method": "string",
    "classification_probability": "number",
    "max_n": "whole",
    "frames": "whole",
    "best_media_id": "whole",
}

_FRAME = {
    "media_id": "whole",
    "event_id": "string",
    "timestamp": "instant",
    "local_time": "string",
    "deployment": "string",
    "label": "string",
    "scientific_name": "string",
    "read_as_such": "truth",
    "classification_method": "string",
    "classification_probability": "number",
    "classified_by": "string",
    "classification_timestamp": "instant",
    "bbox_x": "number",
    "bbox_y": "number",
    "bbox_width": "number",
    "bbox_height": "number",
    "width": "whole",
    "height": "whole",
    "file_mediatype": "string",
    "sha256": "string",
    "favorite": "truth",
}

Row = dict[str, Any]


def write_csv(path: Path, source: Source, *, frames: bool = False) -> list[Path]:
    """Writes visits, or the frames of visits, newest visit first; the files' paths.

    UTF-8 with a header; instants are UTC, `2026-05-01T06:30:00.250Z`, and `local_...` as clocks at
    the camera show them. Names are made harmless for spreadsheets as `cells` says.
    """
    columns = _FRAME if frames else _VISIT
    with (
        whole_files(path) as made,
        (made / path.name).open("w", encoding="utf-8", newline="") as file,
    ):
        sheet = Sheet(file, tuple(columns))
        for row in _rows(source, frames):
            sheet.write({key: _as_text(value) for key, value in row.items()})
    source.account.rows["frames" if frames else "visits"] = sheet.rows
    return [path]


def write_parquet(path: Path, source: Source, *, frames: bool = False) -> list[Path]:
    """The same as Apache Parquet, with instants as such and text as it is.

    Raises ExportError without pyarrow.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ExportError(
            "Parquet needs pyarrow, which is not installed.",
            "`pip install '.[parquet]'` installs it; CSV needs nothing more.",
        ) from None
    types = {
        "string": pyarrow.string(),
        "instant": pyarrow.timestamp("ms", tz="UTC"),
        "number": pyarrow.float64(),
        "whole": pyarrow.int64(),
        "truth": pyarrow.bool_(),
    }
    columns = _FRAME if frames else _VISIT
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    count = 0
    with whole_files(path) as made, pyarrow.parquet.ParquetWriter(made / path.name, schema) as out:
        batch: list[Row] = []
        for row in _rows(source, frames):
            batch.append(row)
            if len(batch) == _ROW_GROUP:
                out.write_table(pyarrow.Table.from_pylist(batch, schema))
                count, batch = count + len(batch), []
        out.write_table(pyarrow.Table.from_pylist(batch, schema))
        count += len(batch)
    source.account.rows["frames" if frames else "visits"] = count
    return [path]


def _rows(source: Source, frames: bool) -> Iterator[Row]:
    if not frames:
        yield from map(_visit, source.claims)
        return
    for claim, found in source.with_frames(all_frames):
        yield from _frames(claim, found)


def _visit(claim: Claim) -> Row:
    visit, taxon, place = claim
    return {
        "event_id": visit.visit_id,
        "event_start": visit.start,
        "event_end": visit.end,
        "local_start": local_text(visit.start, place),
        "duration_seconds": visit.duration.total_seconds(),
        "deployment": visit.deployment,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "label": visit.label.name,
        "scientific_name": taxon.verbatim or None,
        "taxon_rank": taxon.rank or None,
        "ebird_code": visit.label.ebird_code or None,
        "kind": str(visit.label.kind),
        "classification_method": "human" if visit.is_by_person else "machine",
        "classification_probability": round(visit.confidence, 4),
        "max_n": visit.max_n,
        "frames": len(visit.media_ids),
        "best_media_id": visit.best,
    }


def _frames(claim: Claim, found: Frames) -> Iterator[Row]:
    """A visit's frames. What else one of them was read as is not claimed, and not told."""
    visit, taxon, place = claim
    for frame in found.values():
        is_read_so = frame.label == visit.label.name
        box = frame.region if is_read_so else None
        yield {
            "media_id": frame.media_id,
            "event_id": visit.visit_id,
            "timestamp": frame.captured_at,
            "local_time": local_text(frame.captured_at, place),
            "deployment": visit.deployment,
            "label": visit.label.name,
            "scientific_name": taxon.verbatim or None,
            "read_as_such": is_read_so,
            "classification_method": "human" if frame.is_by_person else "machine",
            "classification_probability": frame.probability if is_read_so else None,
            "classified_by": frame.classified_by or None,
            "classification_timestamp": frame.classified_at,
            "bbox_x": box.x if box else None,
            "bbox_y": box.y if box else None,
            "bbox_width": box.width if box else None,
            "bbox_height": box.height if box else None,
            "width": frame.width,
            "height": frame.height,
            "file_mediatype": frame.media_type,
            "sha256": frame.sha256 or None,
            "favorite": frame.is_favorite,
        }


def _as_text(value: Any) -> Any:
    return utc_text(value) if isinstance(value, datetime) else value
