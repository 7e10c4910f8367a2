"""`feeder serve`: the page and the API."""

import sys
from pathlib import Path

import click
import uvicorn

from feeder import config
from feeder.cli.attached import attached_option, link_to_daemon
from feeder.cli.output import examples, note, say
from feeder.cli.run_output import log_to_stderr
from feeder.cli.selection import known_vocabulary
from feeder.cli.wiring import open_classifier
from feeder.config import Settings
from feeder.errors import FeederError
from feeder.web import listening, passwords
from feeder.web.app import create_app
from feeder.web.desk import Desk

MOST_AT_ONCE = 200
"""Requests at a time; a page that is open takes one for what is live. More are answered 503."""

GOODBYE_SECONDS = 2
"""How long answers may take to end after Ctrl-C; what is live has no end of its own."""


@click.command(
    epilog=examples(
        "feeder serve",
        "feeder serve --port 8080",
        "feeder serve --set-password",
        "feeder serve --host 0.0.0.0",
    )
)
@click.option("--host", help="Where to listen, instead of what [web] says.")
@click.option("--port", type=click.IntRange(1, 65535), help="The same for the port.")
@click.option("--set-password", is_flag=True, help="Ask for the page's password; serve nothing.")
@attached_option
@click.pass_obj
def serve(
    path: Path, host: str | None, port: int | None, set_password: bool, attached: bool
) -> None:
    """Serves the page and the API until Ctrl-C.

    The daemon does so by itself with `enabled = true` under [web] in config.toml.

    As shipped only this computer reaches the page. For others, set a password, then listen at
    0.0.0.0; everything then asks for it. --set-password asks twice, or reads a line from a pipe.
    """
    settings = config.load(path)
    if set_password:
        _set_password(settings)
        return
    log_to_stderr()
    web = settings.web
    host, port = host or web.host, port or web.port
    password = settings.resolve(web.password)
    _require_password(host, password)
    sockets = listening.listen(host, port)
    desk = Desk(settings, known_vocabulary, open_classifier)
    app = create_app(desk, host)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="error",  # whoever scans the network would fill the journal with warnings
            access_log=False,
            server_header=False,
            ws="none",
            limit_concurrency=MOST_AT_ONCE,
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
    )
    # A stream of events has no end of its own.
    app.state.is_stopping = lambda: server.should_exit

    def stop() -> None:
        server.should_exit = True

    desk.link = link_to_daemon(attached, stop)
    note(f"the page is at {' or '.join(listening.urls(host, port))}")
    server.run(sockets)


def _require_password(host: str, password: Path) -> None:
    """Raises FeederError where others than this computer would reach the page without one."""
    if passwords.read(password) is None and not listening.is_loopback(host):
        raise FeederError(
            f"At {host} everyone in the network would reach the page, and no password is set.",
            "`feeder serve --set-password` sets one; or listen at 127.0.0.1.",
        )


def _set_password(settings: Settings) -> None:
    file = settings.resolve(settings.web.password)
    if sys.stdin.isatty():
        password = click.prompt(
            "Password of the page", hide_input=True, confirmation_prompt="Once more", err=True
        )
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    passwords.write(file, password)
    say(f"wrote {file}; who was logged in has to log in again")
