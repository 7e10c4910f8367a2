"""What every answer of the API is made of: instants, pages, and what went wrong."""

from datetime import datetime
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema

from feeder.clock import utc_text

Item = TypeVar("Item")

Instant = Annotated[
    datetime,
    PlainSerializer(utc_text, when_used="json"),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-05-01T06:30:00.250Z"]},
        mode="serialization",
    ),
]
"""An instant, RFC 3339 in UTC with milliseconds."""

Picture = Annotated[
    str | None, Field(description="address of the picture on this server; null where it is gone")
]


class Record(BaseModel):
    """Exactly these fields: what the program holds and this does not say is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Problem(Record):
    """What went wrong, and how to mend it."""

    error: str = Field(description="what is wrong, one sentence")
    hint: str = Field(description='how to mend it; "" where there is no more to say')


class Page(Record, Generic[Item]):
    """A page of a list, the newest first."""

    items: list[Item]
    next: str | None = Field(description="address of the next page; null on the last one")


class Items(Record, Generic[Item]):
    """A whole list."""

    items: list[Item]
