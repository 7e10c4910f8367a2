"""`feeder doctor`: what is wrong, and how to mend it."""

import dataclasses
from pathlib import Path

import click
from rich.text import Text

from feeder import config
from feeder import doctor as examination
from feeder.cli.output import examples, say, write_json
from feeder.cli.stand_in import outlook
from feeder.cli.wiring import open_bundle, open_classifier, open_vocabulary
from feeder.errors import BundleError, FeederError


@click.command(epilog=examples("feeder doctor", "feeder doctor --json"))
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def doctor(path: Path, as_json: bool) -> None:
    """Looks at the folder, permissions, watcher, model, database, disk and clock.

    Exits with 1 where something is wrong.
    """
    settings = config.load(path)

    def try_model() -> str:
        try:
            classifier = open_classifier(settings)
            classifier.bundle.verify()  # also what these settings do not load
        except BundleError as error:
            raise BundleError(f"{error} {outlook(settings)}", error.hint) from error
        manifest = classifier.bundle.manifest
        skipped = classifier.embeddings.skipped
        unknown = f", {len(skipped)} of the vocabulary unknown to it" if skipped else ""
        return f"{manifest.name}, {len(classifier.labels)} labels{unknown}, self-test passed"

    checks = [examination.Check("settings", True, str(settings.path))]
    for check in examination.examine(settings, try_model):
        checks.append(check)
    try:
        labels = open_vocabulary(settings, open_bundle(settings)).labels
    except FeederError:
        labels = ()  # the check of the model has said why
    checks += examination.region_checks(settings, labels) if labels else []
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
