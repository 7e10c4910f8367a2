"""`feeder serve`: the page and the API."""

from pathlib import Path

import click
import uvicorn

from feeder import config
from feeder.cli.attached import attached_option, link_to_daemon
from feeder.cli.output import examples, note
from feeder.cli.run_output import log_to_stderr
from feeder.cli.selection import known_vocabulary
from feeder.cli.wiring import open_classifier
from feeder.web.app import create_app
from feeder.web.desk import Desk


@click.command(epilog=examples("feeder serve", "feeder serve --port 8080"))
@click.option("--host", help="Where to listen, instead of what [web] says.")
@click.option("--port", type=click.IntRange(1, 65535), help="The same for the port.")
@attached_option
@click.pass_obj
def serve(path: Path, host: str | None, port: int | None, attached: bool) -> None:
    """Serves the page and the API until Ctrl-C.

    The daemon does so by itself with `enabled = true` under [web] in config.toml.
    """
    log_to_stderr()
    settings = config.load(path)
    web = settings.web
    host, port = host or web.host, port or web.port
    server: uvicorn.Server

    def stop() -> None:
        server.should_exit = True

    desk = Desk(settings, known_vocabulary, open_classifier, link=link_to_daemon(attached, stop))
    app = create_app(desk)
    # A stream of events has no end of its own.
    app.state.is_stopping = lambda: server.should_exit
    server = uvicorn.Server(
        uvicorn.Config(app, host, port, log_config=None, access_log=False, server_header=False)
    )
    note(f"the page is at http://{host}:{port}")
    server.run()
