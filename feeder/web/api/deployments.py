"""The cameras, and their feeders."""

from typing import Any

from feeder.log_records import feeder_record
from feeder.tag_log import TagLog
from feeder.web.api import models, shapes
from feeder.web.api.freshness import NOT_MODIFIED, Fresh
from feeder.web.api.told import told_router
from feeder.web.desk import TheDesk

router = told_router("deployments")


@router.get("/deployments", response_model=shapes.Items[models.Deployment], responses=NOT_MODIFIED)
def list_deployments(desk: TheDesk, fresh: Fresh) -> dict[str, Any]:
    """The cameras that the log knows, and their newest frames."""
    fresh.check()
    return {"items": desk.log.deployments()}


@router.get("/attributes/status", response_model=shapes.Items[models.FeederState])
def get_feeder_states(desk: TheDesk) -> dict[str, Any]:
    """Whether the feeder at each camera wants filling, as far as its frames say so."""
    cameras = [one.name for one in desk.settings.deployments]
    with TagLog(desk.settings.database) as log:
        states = log.feeder_states(cameras, desk.clock.now())
    return {"items": [feeder_record(name, state) for name, state in states.items()]}
