"""`calibration.toml`: what `feeder calibrate` found, for each camera and model."""

import logging
import os
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feeder.bundle import Thresholds
from feeder.errors import ConfigError

log = logging.getLogger("feeder.calibration")

_HEADING = "What `feeder calibrate` found; `feeder calibrate --reset` empties it."


class Entry(BaseModel):
    """One camera's calibration, for one graph of one bundle.

    `before` and `after` are the calibration error, `nll_before` and `nll_after` the negative
    log-likelihood, all on frames that were held out. `vocabulary` is the digest of the labels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    deployment: str
    bundle: str
    graph: str
    vocabulary: str
    temperature: float = Field(gt=0, le=100)
    thresholds: Thresholds
    made_at: str
    made_from: str
    frames: int
    error_before: float
    error_after: float
    nll_before: float
    nll_after: float

    @property
    def key(self) -> tuple[str, str, str]:
        """What it holds for: camera, bundle and graph."""
        return self.deployment, self.bundle, self.graph


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    calibration: list[Entry] = []


def read(path: Path) -> list[Entry]:
    """Everything in the file; [] where there is none. Raises ConfigError where it is damaged."""
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).calibration
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:  # bytes that are no text, no TOML, or mean nothing
        said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ConfigError(
            f"{path}: {said}.", "Delete the file, and run `feeder calibrate` again."
        ) from error


def of(path: Path, bundle: str, graph: str, cameras: Collection[str]) -> dict[str, Entry]:
    """What holds for this graph of this bundle, by camera; warns of what is for others alone."""
    entries = [entry for entry in read(path) if entry.deployment in cameras]
    found = {one.deployment: one for one in entries if (one.bundle, one.graph) == (bundle, graph)}
    for camera in sorted({one.deployment for one in entries} - set(found)):
        log.warning(
            "the calibration of %s is of another model, and is ignored; `feeder calibrate` makes "
            "one for this",
            camera,
        )
    return found


def put(path: Path, entries: Sequence[Entry]) -> None:
    """Adds calibrations to the file, each in the place of an earlier one of its key."""
    new = {entry.key: entry for entry in entries}
    _write(path, [entry for entry in read(path) if entry.key not in new] + list(new.values()))


def reset(path: Path, cameras: Collection[str]) -> list[str]:
    """Takes these cameras' calibrations out, for whatever model; gives whose there were."""
    entries = read(path)
    kept = [entry for entry in entries if entry.deployment not in cameras]
    if len(kept) < len(entries):
        _write(path, kept)
    return sorted({entry.deployment for entry in entries} & set(cameras))


def _write(path: Path, entries: Sequence[Entry]) -> None:
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADING))
    listed = tomlkit.aot()
    for entry in entries:
        listed.append(tomlkit.item(entry.model_dump()))
    if entries:
        document["calibration"] = listed
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(tomlkit.dumps(document), encoding="utf-8")
    os.replace(beside, path)
