"""`feeder report`."""

import click


@click.command()
def report() -> None:
    """To come."""
