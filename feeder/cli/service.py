"""`feeder service`: the systemd unit."""

from pathlib import Path

import click

from feeder import config
from feeder import service as systemd
from feeder.cli.output import examples, say


@click.group(epilog=examples("sudo feeder service install", "feeder service install --user"))
def service() -> None:
    """Keeps the daemon running from boot on."""


@service.command(
    epilog=examples(
        "feeder service install --user",
        "sudo .venv/bin/feeder --config config.toml service install",
        "feeder service install --print",
    )
)
@click.option("--user", "for_user", is_flag=True, help="For your own service manager; no root.")
@click.option("--print", "only_print", is_flag=True, help="Show the unit, write nothing.")
@click.pass_obj
def install(path: Path, for_user: bool, only_print: bool) -> None:
    """Writes a systemd unit for the settings in use."""
    settings = config.load(path)
    if only_print:
        click.echo(systemd.unit(settings, for_user=for_user), nl=False)
        return
    written = systemd.install(settings, for_user=for_user)
    control = "systemctl --user" if for_user else "sudo systemctl"
    say(f"wrote {written}\nnext: {control} daemon-reload && {control} enable --now feeder")
    if for_user:
        say("and, so that it runs while nobody is logged in: sudo loginctl enable-linger $USER")
