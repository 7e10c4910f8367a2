"""`feeder favorite`: frames whose pictures stay."""

from pathlib import Path

import click

from feeder import config
from feeder.cli.output import examples, local, say
from feeder.picture_log import Picture, PictureLog
from feeder.places import Places


@click.command(
    epilog=examples(
        "feeder favorite 1742            # the id in the first column of `feeder sightings`",
        "feeder favorite 1742 1743 1750",
        "feeder favorite --remove 1742",
        "feeder sightings --favorites    # lists them",
    )
)
@click.argument("media_ids", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1))
@click.option("--remove", is_flag=True, help="Make them favorites no longer.")
@click.pass_obj
def favorite(path: Path, media_ids: tuple[int, ...], remove: bool) -> None:
    """Makes frames favorites, whose pictures are never deleted.

    ID is a frame's number, `media_id` in `feeder sightings --json`. The daemon may run meanwhile.
    """
    settings = config.load(path)
    pictures = PictureLog.open(settings.database)
    try:
        with pictures.writing():
            chosen = pictures.get(media_ids)
            pictures.set_favorite(media_ids, not remove)
    finally:
        pictures.close()
    zones = {one.name: one.zone for one in settings.deployments}
    places = Places.of(settings)
    for picture in chosen:
        taken = local(picture.captured_at, zones.get(picture.deployment))
        what = "no favorite any more" if remove else "favorite"
        gone = "" if remove or any(places.files(picture)) else "; its picture is not there"
        say(f"{picture.media_id}  {taken}  {_shown(picture)}: {what}{gone}")


def _shown(picture: Picture) -> str:
    kind = picture.observation_type.value if picture.observation_type else "frame"
    return picture.species[1] if picture.species else kind
