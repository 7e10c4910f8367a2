"""Pictures with their captions as one HTML page that needs nothing beside it."""

from collections.abc import Sequence
from datetime import datetime

from feeder import pages

Section = tuple[str, Sequence[tuple[str, str]]]
"""A heading ("" for none), and each picture's caption and thumbnail ("" where it is gone)."""


def render(
    title: str, sections: Sequence[Section], made: datetime, notes: Sequence[str] = ()
) -> str:
    """The page as HTML. A caption's lines stay lines; a thumbnail is a data URI.

    `notes` stand below the title. `made` is the instant to show, with a time zone.
    """
    return pages.render("contact_sheet", made, title=title, sections=sections, notes=notes)
