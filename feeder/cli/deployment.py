"""`feeder deployment`: the cameras' names, in the settings and in the log."""

from pathlib import Path

import click

from feeder import config
from feeder.cli.output import examples, note, say, table, write_json
from feeder.cli.wiring import sole_writer
from feeder.deployment_log import DeploymentLog
from feeder.errors import FeederError


@click.group(epilog=examples("feeder deployment list", "feeder deployment rename garden pond"))
def deployment() -> None:
    """The cameras by name: what config.toml says, and what the log knows."""


@deployment.command(
    "list", epilog=examples("feeder deployment list", "feeder deployment list --json")
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def show(path: Path, as_json: bool) -> None:
    """Shows the cameras that are configured, and those that the log knows."""
    settings = config.load(path)
    configured = [one.name for one in settings.deployments]
    known: list[str] = []
    if settings.database.exists():
        with DeploymentLog(settings.database) as log:
            known = log.names()
    found = [
        {"deployment": name, "is_configured": name in configured, "is_in_log": name in known}
        for name in dict.fromkeys([*configured, *known])
    ]
    if as_json:
        write_json(found)
        return
    words = {True: "yes", False: "no"}
    table(
        ("camera", "configured", "in the log"),
        [
            (one["deployment"], words[bool(one["is_configured"])], words[bool(one["is_in_log"])])
            for one in found
        ],
    )


@deployment.command(epilog=examples("feeder deployment rename garden pond"))
@click.argument("old")
@click.argument("new")
@click.pass_obj
def rename(path: Path, old: str, new: str) -> None:
    """Calls camera OLD of the log NEW, with all that was logged of it.

    For a camera whose `name` in config.toml is to be another: without it, its pictures are logged
    again as those of a new camera. No daemon may run meanwhile.
    """
    settings = config.load(path)
    if not new.strip():
        raise FeederError("A camera has a name.", "Write one: `feeder deployment rename OLD NEW`.")
    with sole_writer(settings), DeploymentLog(settings.database, writable=True) as log:
        log.rename(old, new)
    say(f"the log calls {old!r} {new!r} now")
    if new not in (one.name for one in settings.deployments):
        note(f"Set `name` of its [[deployment]] in {settings.path} to {new!r}, too.")
    if settings.calibration.exists() and old in settings.calibration.read_text(encoding="utf-8"):
        note(f"{settings.calibration} names {old!r}: change it there, or `feeder calibrate` again.")
