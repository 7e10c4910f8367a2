"""The sections of `config.toml`: each key with its type, limits, default and what it is for.

`config` writes the file from these descriptions.
"""

from datetime import timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator

from feeder.bundle import Thresholds


class Section(BaseModel):
    """Some settings that belong together, frozen; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def tuple_of(value: Any) -> Any:
    """TOML has lists alone, and settings are frozen."""
    return tuple(value) if isinstance(value, list) else value


class DeploymentSection(Section):
    """One camera. Repeat the whole section for each further one."""

    name: str = Field(
        min_length=1,
        description="what this camera is called in the log; `feeder deployment rename` renames it "
        "there, too",
    )
    folder: str = Field(min_length=1, description="where it drops its pictures")
    latitude: float | None = Field(
        None, ge=-90, le=90, description="degrees north, WGS 84", examples=[53.35]
    )
    longitude: float | None = Field(
        None, ge=-180, le=180, description="degrees east, WGS 84", examples=[-6.26]
    )
    timezone: str | None = Field(
        None,
        description="IANA name, of times in pictures and tables; left out: this computer's own",
        examples=["Europe/Dublin"],
    )
    species: str | None = Field(
        None,
        description="this camera's own list of birds, instead of what [region] names",
        examples=["cabin-birds.txt"],
    )
    ebird_barchart: str | None = Field(
        None, description="its own bar chart, likewise", examples=["cabin_barchart.txt"]
    )

    mask: tuple[tuple[float, float, float, float], ...] | None = Field(
        None,
        description="what is never judged, such as a time stamp or a logo: left, top, width and "
        "height of each, as shares of the frame",
        examples=[[[0.0, 0.0, 0.3, 0.08]]],
    )

    @field_validator("mask", mode="before")
    @classmethod
    def _boxes(cls, value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list) or not all(map(_is_box, value)):
            raise ValueError("write each as [left, top, width, height], all of it within 0 to 1")
        return tuple(tuple(map(float, box)) for box in value)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                said = f"{name!r} is no time zone; write it like 'Europe/Dublin'"
                raise ValueError(said) from None
        return name


def _is_box(box: object) -> bool:
    """Whether it is four numbers that lie within the frame and hold something."""
    if not isinstance(box, list) or len(box) != 4:
        return False
    if not all(isinstance(share, float | int) and 0 <= share <= 1 for share in box):
        return False
    x, y, width, height = map(float, box)
    return width > 0 and height > 0 and x + width <= 1 + 1e-9 and y + height <= 1 + 1e-9


class ModelSection(Section):
    """What looks at the pictures, and what it can name."""

    bundle: str = Field("starter", description="a model by name (`feeder model list`) or folder")
    vocabulary: str = Field(
        "auto",
        description='"north-america", "europe", a .toml of yours, ...; '
        '"auto": the model\'s own labels, else "north-america"',
    )
    labels: str = Field("labels.toml", description="your own labels, kept by `feeder labels`")
    calibration: str = Field(
        "calibration.toml", description="what `feeder calibrate` found, for each camera and model"
    )
    folder: str = Field("models", description="where pulled and exported models go")
    precision: Literal["auto", "fp32", "int8"] = Field(
        "auto", description='"auto" (int8 where the model has it), "int8" or "fp32"'
    )
    threads: int = Field(0, ge=0, le=256, description="threads of the model; 0: one for each core")
    look_twice: bool = Field(
        True, description="judge also the part of a frame that changed; the surer verdict counts"
    )
    embed_again: bool = Field(
        True, description="show a new model the old pictures, too, while nothing else is to do"
    )
    text_negatives: bool = Field(
        False,
        description="on a model that reads text: take a written name for words, not for the bird",
    )
    learn_from_corrections: bool = Field(
        True, description="frames that you named (`feeder correct`) teach what they look like"
    )


class AttributesSection(Section):
    """What else is asked of every frame, on the same look; `feeder attributes list` shows it."""

    use: tuple[str, ...] = Field(
        ("behaviour", "sex", "age", "feeder", "lens"),
        description="shipped ones by name; your own are always asked",
    )
    folder: str = Field(
        "attributes", min_length=1, description="your own, kept by `feeder attributes learn`"
    )

    _as_tuple = field_validator("use", mode="before")(tuple_of)


class ThresholdsSection(Section):
    """Probabilities, 0 to 1, at which a verdict is given. Left out: the model's own."""

    label: float | None = Field(
        None, ge=0, le=1, description="less for the best label is `unknown`", examples=[0.5]
    )
    bird: float | None = Field(
        None, ge=0, le=1, description="a bird needs this much on all birds together", examples=[0.5]
    )
    blank: float | None = Field(
        None, ge=0, le=1, description="this much on nothing being there is `blank`", examples=[0.5]
    )
    margin: float | None = Field(
        None, ge=0, le=1, description="the best must lead the second by this", examples=[0.0]
    )

    def over(self, bundle: Thresholds) -> Thresholds:
        """The bundle's thresholds with the configured ones in their place."""
        return bundle.model_copy(update=self.model_dump(exclude_none=True))


class RegionSection(Section):
    """Which birds live where the cameras are; others are named on clear pictures alone.

    A bird on your list is expected, in the months it says. All others go by the bar chart; without
    one they are not expected. With neither, the continent counts. `feeder region` shows it.
    """

    species: str | None = Field(
        None,
        description='a text file with a bird in each line: "European Robin", "Siskin: 10-3"',
        examples=["my-birds.txt"],
    )
    ebird_barchart: str | None = Field(
        None,
        description='what "Download Histogram Data" below a bar chart on ebird.org gives',
        examples=["ebird_barchart.txt"],
    )
    continent: Literal["auto", "europe", "north-america", "none"] = Field(
        "auto",
        description='"europe" or "north-america": not expected are birds of the other\'s shipped '
        'list alone; "auto": by latitude and longitude; "none"',
    )


class InboxSection(Section):
    """How new pictures are noticed."""

    settle_seconds: float = Field(
        1.0, gt=0, le=3600, description="seconds a file has not changed for when it is whole"
    )
    watcher: Literal["auto", "native", "polling"] = Field(
        "auto", description='"native", "polling", or "auto": polling on network file systems'
    )
    # A frame that no event told of is in the log within 60 s: 15 are left to settle and be judged.
    rescan_seconds: float = Field(
        45.0, gt=0, description="seconds between two scans for files that no event told of"
    )
    polling_seconds: float = Field(10.0, gt=0, description="the same where nothing is watched")
    recursive: bool = Field(True, description="look in folders below, too")
    ignore: tuple[str, ...] = Field(
        (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".bak",
         ".lock", "~"),
        description="endings of names that are no pictures yet; hidden files never are",
    )  # fmt: skip

    _as_tuple = field_validator("ignore", mode="before")(tuple_of)


class FramesSection(Section):
    """What is refused, with the reason in the log."""

    max_megabytes: float = Field(50.0, gt=0, description="megabytes in a file")
    max_megapixels: float = Field(
        64.0,
        gt=0,
        description="millions of pixels in a picture; the decoder's 256 MB hold 64 of JPEG, "
        "45 of PNG, 20 of AVIF, 13 of WebP",
    )
    decode_seconds: float = Field(6.0, gt=0, le=30, description="seconds for decoding one picture")


class VisitsSection(Section):
    """What counts as one visit. A change applies to the whole history."""

    gap_minutes: float = Field(
        5.0,
        gt=0,
        le=1440,
        description="minutes without a species after which its next frame begins another visit",
    )

    @property
    def gap(self) -> timedelta:
        """The same as a length of time."""
        return timedelta(minutes=self.gap_minutes)


class LogbookSection(Section):
    """Where the log is kept."""

    file: str = Field("data/feeder.db", description="an SQLite database, on a local disk")
    cache: str = Field("data/cache", description="what can be computed again")
    commit_rows: int = Field(50, gt=0, le=1000, description="rows written together at most")
    commit_seconds: float = Field(5.0, gt=0, le=60, description="seconds a row waits at most")
    reserve_megabytes: float = Field(
        8.0, ge=0, description="megabytes kept free for the log when the disk fills up; 0: none"
    )


class BackupSection(Section):
    """Copies of the log, checked after they were made. A damaged log is replaced by the newest."""

    folder: str = Field("data/backups", description="where they go; another disk is safer")
    every_hours: float = Field(24.0, ge=0, description="hours between two; 0: none by itself")
    keep: int = Field(3, ge=1, le=1000, description="how many stay")


class RetentionSection(Section):
    """How long pictures stay; their rows and embeddings always do. As it is, none is deleted.

    Favorites (`feeder favorite`), frames that a person corrected and the last pictures of each
    species are never deleted. `feeder prune --dry-run` lists what would be.
    """

    after: Literal["keep", "archive", "delete"] = Field(
        "keep", description='a logged picture is left ("keep"), moved ("archive") or deleted'
    )
    archive: str = Field(
        "archive", min_length=1, description="the folder for that: archive/garden/2026/2026-05-01/"
    )
    keep_last: int = Field(
        20, ge=0, description="pictures of each species at each camera that are never deleted"
    )
    max_days: float | None = Field(
        None, gt=0, le=100_000, description="days a picture is kept", examples=[365.0]
    )
    max_gigabytes: float | None = Field(
        None, gt=0, description="all pictures together; the oldest go first", examples=[50.0]
    )
    min_free_gigabytes: float | None = Field(
        None, gt=0, description="left free on their disk; the oldest go first", examples=[2.0]
    )

    @property
    def deletes(self) -> bool:
        """Whether anything may ever be deleted."""
        limits = (self.max_days, self.max_gigabytes, self.min_free_gigabytes)
        return self.after == "delete" or any(limit is not None for limit in limits)
