"""Prometheus' metrics."""

import threading

from fastapi import APIRouter, FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from feeder.web.desk import Desk, TheDesk
from feeder.web.metric_families import FeederCollector

router = APIRouter()

_making = threading.Lock()


@router.get("/metrics")
def metrics(request: Request, desk: TheDesk) -> Response:
    """What Prometheus asks for, in its text format or as OpenMetrics, whichever it accepts."""
    registry = _registry(request.app, desk)
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except (TypeError, ValueError):  # a version that is no number
        encode, content_type = choose_encoder("")
    return Response(encode(registry), headers={"content-type": content_type})


def _registry(app: FastAPI, desk: Desk) -> CollectorRegistry:
    """The app's one registry: what it has counted, it counts on from."""
    with _making:
        if not hasattr(app.state, "metrics"):
            made = CollectorRegistry(auto_describe=False)
            made.register(FeederCollector(desk))
            ProcessCollector(registry=made)
            app.state.metrics = made
    registry = app.state.metrics
    assert isinstance(registry, CollectorRegistry)
    return registry
