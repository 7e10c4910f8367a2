"""How the commands speak: tables on a terminal, plain tab-separated text in a pipe."""

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from feeder.clock import to_local, utc_text
from feeder.plain_text import percent as percent

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def group(commands: Mapping[str, str]) -> type[click.Group]:
    """A click group whose commands, `name: "module:function"`, are imported when called.

    `feeder --version` must not wait on a Pi for an inference engine to load.
    """

    class LazyGroup(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(commands)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            if cmd_name not in commands:
                return None
            module, function = commands[cmd_name].split(":")
            command = getattr(importlib.import_module(module), function)
            assert isinstance(command, click.Command)
            return command

    return LazyGroup


def say(text: str | Text) -> None:
    """A result in words, on standard output; never wrapped, so that paths stay whole."""
    out.print(text, markup=False, soft_wrap=True)


def note(text: str | Text) -> None:
    """What is said beside the result, on standard error."""
    err.print(text, markup=False, soft_wrap=True)


def examples(*lines: str) -> str:
    """An epilog of example calls, one a line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table on a terminal; in a pipe a header line and rows, separated by tabs."""
    if not out.is_terminal:
        click.echo("\t".join(columns))
        for row in rows:
            click.echo("\t".join(_plain(cell) for cell in row))
        return
    drawn = Table(title=title or None, title_justify="left", header_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        drawn.add_column(column)
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    out.print(drawn)


def write_json(value: object) -> None:
    """One JSON document; instants are written in UTC."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_jsonable))


def local(instant: datetime, zone: ZoneInfo | None, *, trusted: bool = True) -> str:
    """`2026-05-01 08:30:00`, in the zone people live in; a `?` follows where it may be wrong."""
    text = to_local(instant, zone).strftime("%Y-%m-%d %H:%M:%S")
    return text if trusted else f"{text}?"


def lasted(duration: timedelta) -> str:
    """`1 h 05 min`, `4 min 10 s` or `12 s`."""
    seconds = round(duration.total_seconds())
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    return f"{seconds // 60} min {seconds % 60:02} s" if seconds >= 60 else f"{seconds} s"


def _plain(cell: object) -> str:
    return str(cell).replace("\t", " ").replace("\n", " ")


def _jsonable(value: object) -> Any:
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
