"""`feeder doctor`: what is wrong, and how to mend it."""

import dataclasses
from pathlib import Path

import click
from rich.text import Text

from feeder import config
from feeder import doctor as examination
from feeder.cli.output import examples, say, write_json
from feeder.cli.stand_in import outlook
from feeder.web import checkup


@click.command(epilog=examples("feeder doctor", "feeder doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def doctor(path: Path, as_json: bool) -> None:
    """Looks at the folder, permissions, watcher, model, database, disk, clock, broker, messages
    and page; nothing is sent.

    Exits with 1 where something is wrong.
    """
    settings = config.load(path)
    checks = [*examination.everything(settings, outlook), *checkup.examine(settings)]
    if as_json:
        write_json([dataclasses.asdict(check) for check in checks])
    else:
        for check in checks:
            mark = Text("ok  ", "green") if check.well else Text("bad ", "bold red")
            say(Text.assemble(mark, f"{check.name}: {check.found}"))
            if not check.well:
                say(Text(f"    mend: {check.mend}"))
    if not all(check.well for check in checks):
        raise SystemExit(1)
