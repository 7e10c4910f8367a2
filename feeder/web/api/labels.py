"""What can be named."""

from typing import Any

from feeder import label_embeddings
from feeder.log_records import label_records
from feeder.naming import given_labels
from feeder.opening import open_bundle, open_vocabulary
from feeder.web.api import models, shapes
from feeder.web.api.errors import told_as
from feeder.web.api.freshness import NOT_MODIFIED, Fresh
from feeder.web.api.told import told_router
from feeder.web.desk import TheDesk

router = told_router("labels")


@router.get("/labels", response_model=shapes.Items[models.Label], responses=NOT_MODIFIED)
def list_labels(desk: TheDesk, fresh: Fresh) -> dict[str, Any]:
    """Every label with its names, and which of them cannot be named."""
    with told_as(503):
        bundle = open_bundle(desk.settings)
        fresh.check(bundle.digest)
        vocabulary = open_vocabulary(desk.settings, bundle)
        lacking = label_embeddings.without_vectors(vocabulary, bundle)
    return {"items": label_records(vocabulary, lacking, given_labels(desk.settings, vocabulary))}
