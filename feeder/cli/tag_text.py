"""How a tag is written on the command line: `behaviour=bathing`."""

from typing import Any

import click


def parse(text: str) -> tuple[str, str]:
    """Attribute and value. Raises click.BadParameter for anything else."""
    attribute, _, value = (part.strip() for part in text.partition("="))
    if not (attribute and value):
        raise click.BadParameter(f"{text!r} is no tag; write it like behaviour=bathing")
    return attribute, value


def written(tag: dict[str, Any]) -> str:
    """A row of `LogReader.sightings`' tags in that form."""
    return f"{tag['attribute']}={tag['value']}"
