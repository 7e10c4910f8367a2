"""What the commands share that a daemon starts beside itself."""

import sys
from collections.abc import Callable
from typing import Any

import click

from feeder.daemon_link import DaemonLink

attached_option: Callable[..., Any] = click.option(
    "--attached",
    is_flag=True,
    hidden=True,
    help="Hear of the daemon on standard input, and end with it.",
)


def link_to_daemon(attached: bool, on_gone: Callable[[], None]) -> DaemonLink | None:
    """What listens to the daemon that started this; None where a person did."""
    return DaemonLink(sys.stdin, on_gone) if attached else None
