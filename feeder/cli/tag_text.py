"""How a tag is written on the command line: `behaviour=bathing`."""

from typing import Any

import click

from feeder import query_terms
from feeder.query_terms import NoSuchTag


def parse(text: str) -> tuple[str, str]:
    """Attribute and value. Raises click.BadParameter for anything else."""
    try:
        return query_terms.tag(text)
    except NoSuchTag as error:
        raise click.BadParameter(str(error)) from None


def written(tag: dict[str, Any]) -> str:
    """A row of `LogReader.sightings`' tags in that form."""
    return f"{tag['attribute']}={tag['value']}"
