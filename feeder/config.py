"""`config.toml` -> frozen settings, with every path made absolute."""

import difflib
import inspect
import os
import tomllib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import tomlkit
from pydantic import Field, ValidationError

from feeder.bundle import shipped_models
from feeder.domain import Box, Deployment
from feeder.errors import ConfigError
from feeder.outward_sections import AlertsSection, ExportSection, MqttSection, WebSection
from feeder.settings_sections import (
    AttributesSection,
    BackupSection,
    DeploymentSection,
    FramesSection,
    InboxSection,
    LogbookSection,
    ModelSection,
    RegionSection,
    RetentionSection,
    Section,
    ThresholdsSection,
    VisitsSection,
)

_HEADING = """\
# Feeder's settings. Relative paths start at this file's folder. A line that begins with "# " and
# a key is that key left out. `feeder doctor` checks the file; SIGHUP makes a running daemon read
# it again."""


class _File(Section):
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
    web: WebSection = WebSection()
    mqtt: MqttSection = MqttSection()
    alerts: AlertsSection = AlertsSection()
    export: ExportSection = ExportSection()


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
    def mqtt_password(self) -> Path | None:
        """The file that holds the MQTT broker's password, if it asks for one."""
        return self.resolve(self.mqtt.password) if self.mqtt.password is not None else None

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


def _sections() -> dict[str, type[Section]]:
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
