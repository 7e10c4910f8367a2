"""`config.toml` -> frozen settings, with every path made absolute."""

import difflib
import inspect
import os
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from feeder.bundle import Thresholds, shipped_models
from feeder.domain import Box, Deployment
from feeder.errors import ConfigError

_HEADING = """\
# Feeder's settings. Relative paths start at this file's folder. A line that begins with "# " and
# a key is that key left out. `feeder doctor` checks the file; SIGHUP makes a running daemon read
# it again."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class DeploymentSection(_Section):
    """One camera. Repeat the whole section for each further one."""

    name: str = Field(min_length=1, description="what this camera is called in the log")
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


class ModelSection(_Section):
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


class AttributesSection(_Section):
    """What else is asked of every frame, on the same look; `feeder attributes list` shows it."""

    use: tuple[str, ...] = Field(
        ("behaviour", "sex", "age", "feeder", "lens"),
        description="shipped ones by name; your own are always asked",
    )
    folder: str = Field(
        "attributes", min_length=1, description="your own, kept by `feeder attributes learn`"
    )

    @field_validator("use", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class ThresholdsSection(_Section):
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


class RegionSection(_Section):
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


class InboxSection(_Section):
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

    @field_validator("ignore", mode="before")
    @classmethod
    def _as_tuple(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value


class FramesSection(_Section):
    """What is refused, with the reason in the log."""

    max_megabytes: float = Field(50.0, gt=0, description="megabytes in a file")
    max_megapixels: float = Field(
        64.0,
        gt=0,
        description="millions of pixels in a picture; the decoder's 256 MB hold 64 of JPEG, "
        "45 of PNG, 20 of AVIF, 13 of WebP",
    )
    decode_seconds: float = Field(6.0, gt=0, le=30, description="seconds for decoding one picture")


class VisitsSection(_Section):
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


class LogbookSection(_Section):
    """Where the log is kept."""

    file: str = Field("data/feeder.db", description="an SQLite database, on a local disk")
    cache: str = Field("data/cache", description="what can be computed again")
    commit_rows: int = Field(50, gt=0, le=1000, description="rows written together at most")
    commit_seconds: float = Field(5.0, gt=0, le=60, description="seconds a row waits at most")
    reserve_megabytes: float = Field(
        8.0, ge=0, description="megabytes kept free for the log when the disk fills up; 0: none"
    )


class BackupSection(_Section):
    """Copies of the log, checked after they were made. A damaged log is replaced by the newest."""

    folder: str = Field("data/backups", description="where they go; another disk is safer")
    every_hours: float = Field(24.0, ge=0, description="hours between two; 0: none by itself")
    keep: int = Field(3, ge=1, le=1000, description="how many stay")


class RetentionSection(_Section):
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


class _File(_Section):
    deployment: list[DeploymentSection] = Field(min_length=1)
    model: ModelSection = ModelSection()
    thresholds: ThresholdsSection = ThresholdsSection()
    region: RegionSection = RegionSection()
    attributes: AttributesSection = AttributesSection()
    inbox: InboxSection = InboxSection()
    frames: FramesSection = FramesSection()
    visits: VisitsSection = VisitsSection()
    logbook: LogbookSection = LogbookSection()
    backup: BackupSection = BackupSection()
    retention: RetentionSection = RetentionSection()


class Settings(_File):
    """The whole configuration. `path` is the file it came from; relative paths start beside it."""

    path: Path

    def resolve(self, name: str) -> Path:
        """A path as the file writes it, made absolute; `~` is the user's home."""
        try:
            expanded = Path(name).expanduser()
        except RuntimeError as error:
            raise ConfigError(f"{self.path}: {name!r}: {error}", "Write the path out.") from error
        if "\0" in name:
            raise ConfigError(f"{self.path}: {name!r} is no path.", "Write the path out.")
        # Without `..`, so that one folder has one name; links stay as they are.
        return Path(os.path.normpath((self.path.parent / expanded).absolute()))

    @property
    def deployments(self) -> tuple[Deployment, ...]:
        """The cameras, in the order of the file."""
        return tuple(
            Deployment(
                name=entry.name,
                folder=self.resolve(entry.folder),
                latitude=entry.latitude,
                longitude=entry.longitude,
                zone=ZoneInfo(entry.timezone) if entry.timezone else None,
                mask=tuple(Box(*shares) for shares in entry.mask or ()),
            )
            for entry in self.deployment
        )

    def region_files(self, deployment: str) -> tuple[Path | None, Path | None]:
        """The list of birds and the eBird bar chart for a deployment, as far as there are any.

        One of its own counts instead of both under [region].
        """
        entry = next(one for one in self.deployment if one.name == deployment)
        chosen = entry if entry.species or entry.ebird_barchart else self.region
        listed, chart = chosen.species, chosen.ebird_barchart
        return self.resolve(listed) if listed else None, self.resolve(chart) if chart else None

    @property
    def database(self) -> Path:
        """The log."""
        return self.resolve(self.logbook.file)

    @property
    def backups(self) -> Path:
        """The folder for copies of the log."""
        return self.resolve(self.backup.folder)

    @property
    def cache(self) -> Path:
        """The folder for what can be computed again."""
        return self.resolve(self.logbook.cache)

    @property
    def archive(self) -> Path:
        """The folder that logged pictures are moved to."""
        return self.resolve(self.retention.archive)

    @property
    def own_labels(self) -> Path:
        """The user's own label file, which need not exist."""
        return self.resolve(self.model.labels)

    @property
    def calibration(self) -> Path:
        """What `feeder calibrate` found, which need not exist."""
        return self.resolve(self.model.calibration)

    @property
    def model_folders(self) -> tuple[Path, ...]:
        """Where bundles are looked for: the user's folder, then the shipped one."""
        return tuple(dict.fromkeys([self.resolve(self.model.folder), shipped_models()]))

    @property
    def vocabulary_folders(self) -> tuple[Path, ...]:
        """Where vocabularies are looked for, likewise."""
        return tuple(folder / "vocabularies" for folder in self.model_folders)

    @property
    def attribute_folders(self) -> tuple[Path, ...]:
        """Where shipped attributes are looked for, likewise."""
        return tuple(folder / "attributes" for folder in self.vocabulary_folders)

    @property
    def own_attributes(self) -> Path:
        """The folder of the user's own attributes, which need not exist."""
        return self.resolve(self.attributes.folder)

    @property
    def vocabulary_name(self) -> str | None:
        """The configured vocabulary; None leaves the choice to the bundle."""
        name = self.model.vocabulary
        if name == "auto":
            return None
        return str(self.resolve(name)) if name.endswith(".toml") else name

    @property
    def bundle_name(self) -> str:
        """The configured bundle; a path is made absolute, a bare name stays one."""
        name = self.model.bundle
        return str(self.resolve(name)) if len(Path(name).parts) > 1 else name


def load(path: Path) -> Settings:
    """Reads and checks the file at `path`; raises ConfigError as `parse` does."""
    path = path.absolute()
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is no file")  # reading a FIFO would wait for ever
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"There is no {path}.", f"`feeder init {path.parent}` writes one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}", "Mend or replace the file.") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Settings:
    """Checks the text of the settings file at `path`.

    Raises ConfigError naming the key that is wrong and, for a misspelt one, the key it is near.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers and nesting beyond all bounds
        raise ConfigError(f"{path}: {error}", "Mend the file at that place.") from error
    try:
        settings = Settings.model_validate({**content, "path": path})
    except ValidationError as error:
        raise _explained(path, error) from error
    _check_deployments(settings)
    _check_archive(settings)
    return settings


def _check_deployments(settings: Settings) -> None:
    taken: dict[str, str] = {}
    for deployment in settings.deployments:
        folder = os.path.realpath(deployment.folder)
        for what, value in (("name", deployment.name), ("folder", folder)):
            if value in taken:
                raise ConfigError(
                    f"{settings.path}: two deployments have the {what} {value!r}.",
                    "Give each camera a name and a folder of its own.",
                )
            taken[value] = what
    folders = [Path(os.path.realpath(one.folder)) for one in settings.deployments]
    for inner in folders:
        outer = next((folder for folder in folders if folder in inner.parents), None)
        if outer is not None and settings.inbox.recursive:
            raise ConfigError(
                f"{settings.path}: {inner} lies inside {outer}, so its frames would count twice.",
                "Move one folder, or set `recursive = false` under [inbox].",
            )


def _check_archive(settings: Settings) -> None:
    if settings.retention.after != "archive":
        return
    archive = Path(os.path.realpath(settings.archive))
    for deployment in settings.deployments:
        folder = Path(os.path.realpath(deployment.folder))
        inside = settings.inbox.recursive and (folder in archive.parents)
        if archive == folder or inside or archive in folder.parents:
            raise ConfigError(
                f"{settings.path}: the archive {archive} and the drop folder {folder} lie inside"
                " each other, so archived pictures would be found again.",
                "Name a folder beside it as `archive` under [retention].",
            )


def _explained(path: Path, error: ValidationError) -> ConfigError:
    # A misspelt key is also a missing one; its own error is the one that helps.
    errors = sorted(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    first = errors[0]
    where = [part for part in first["loc"] if not isinstance(part, int)]
    key = _dotted(first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys(where[:-1])
        close = difflib.get_close_matches(str(where[-1]), known, n=1)
        hint = f"Did you mean `{close[0]}`?" if close else f"Known here: {', '.join(known)}."
        return ConfigError(f"{path}: unknown key `{key}`.", hint)
    if first["type"] == "missing":
        return ConfigError(f"{path}: `{key}` is missing.", "Add it; `feeder init` shows how.")
    message = first["msg"].removeprefix("Value error, ")
    return ConfigError(
        f"{path}: `{key}`: {message} (it is {_excerpt(first['input'])}).",
        "The comments in a fresh `feeder init` file give each key's unit and default.",
    )


def _dotted(where: tuple[int | str, ...]) -> str:
    """`deployment[2].folder` for ("deployment", 1, "folder"): people count from one."""
    text = ""
    for part in where:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _keys(where: list[Any]) -> list[str]:
    """The keys a section may have."""
    section = _sections()[str(where[0])] if where else _File
    return list(section.model_fields)


def _sections() -> dict[str, type[_Section]]:
    """Every section of the file, in its order."""
    others = {
        name: type(field.default)
        for name, field in _File.model_fields.items()
        if name != "deployment"
    }
    return {"deployment": DeploymentSection, **others}


def set_bundle(path: Path, name: str) -> None:
    """Writes `bundle = name` into the file at `path`, everything else left as it is."""
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    document.setdefault("model", tomlkit.table())["bundle"] = name
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(tomlkit.dumps(document), encoding="utf-8")
    os.replace(beside, path)


def fresh(name: str = "garden", folder: str = "snapshots") -> str:
    """The text of a new `config.toml`: every key with its default, unit and meaning."""
    given = {"name": name, "folder": folder}
    parts = [_HEADING]
    for title, section in _sections().items():
        said = (inspect.getdoc(section) or "").replace("\n\n", "\n").replace("\n", "\n# ")
        parts.append(f"\n# {said}")
        parts.append("[[deployment]]" if title == "deployment" else f"[{title}]")
        for key, field in section.model_fields.items():
            default = given.get(key) if title == "deployment" else field.default
            if default is None:
                default, key = (field.examples or [""])[0], f"# {key}"
            parts.append(f"# {field.description}\n{key} = {_toml(default)}")
    return "\n".join(parts) + "\n"


def _toml(value: Any) -> str:
    return str(tomlkit.item(list(value) if isinstance(value, tuple) else value).as_string())


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
