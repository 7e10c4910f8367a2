"""How the feeder is."""

import shutil
from typing import Any

from feeder import __version__
from feeder.daemon_link import DaemonLink
from feeder.web.api import models
from feeder.web.api.told import told_router
from feeder.web.desk import TheDesk

router = told_router("health")


@router.get("/health", response_model=models.Health)
def get_health(desk: TheDesk) -> dict[str, Any]:
    """Daemon, log, disk and cameras; 503 while the log cannot be read."""
    database = desk.settings.database
    deployments = desk.log.deployments()
    return {
        "version": __version__,
        "daemon": _daemon(desk.link) if desk.link is not None else None,
        "frames": desk.log.newest_frame(),
        "log_bytes": database.stat().st_size,
        "free_bytes": shutil.disk_usage(database.parent).free,
        "deployments": deployments,
    }


def _daemon(link: DaemonLink) -> dict[str, Any]:
    state = link.state
    return {
        "words": state.words if state else None,
        "waiting": state.waiting if state else None,
        "silent_seconds": round(link.silent_seconds, 1),
        "is_hanging": link.is_hanging,
    }
