"""`feeder init`: a fresh folder to run in."""

from pathlib import Path

import click

from feeder import config
from feeder.cli.output import examples, say
from feeder.errors import ConfigError


@click.command(epilog=examples("feeder init ~/feeder", "feeder --config ~/feeder/config.toml run"))
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
def init(directory: Path) -> None:
    """Writes a commented config.toml and a drop folder into DIR."""
    path = directory / "config.toml"
    if path.exists():
        raise ConfigError(f"{path} is already there.", "Edit it, or choose another folder.")
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(config.fresh(), encoding="utf-8")
    settings = config.load(path)
    for deployment in settings.deployments:
        deployment.folder.mkdir(parents=True, exist_ok=True)
    say(f"wrote {path}\nnext: feeder --config {path} run")
