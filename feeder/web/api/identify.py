"""What a picture shows that somebody sends; it is judged, and forgotten."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import StringConstraints

from feeder.errors import VocabularyError
from feeder.records import prediction_record
from feeder.web import uploads
from feeder.web.api import models
from feeder.web.api.errors import Refusal, documented, told_as
from feeder.web.desk import TheDesk

router = APIRouter(tags=["identify"])

Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]


@router.post(
    "/identify",
    response_model=models.Identified,
    responses=documented(400, 409, 413, 415),
)
def identify_picture(
    desk: TheDesk,
    picture: Annotated[UploadFile, File(description="JPEG, PNG, WebP or AVIF")],
    labels: Annotated[
        list[Text],
        Form(max_length=100, description="score these texts instead of the labels; repeat it"),
    ] = [],  # noqa: B006  FastAPI's way to say that it may be left out; nobody changes it
    top: Annotated[int, Form(ge=1, le=5, description="labels in the answer")] = 5,
) -> dict[str, Any]:
    """Species and the best labels of an uploaded picture; nothing is logged.

    With `labels` it says how well each of these texts fits, and no more; 409 where the model in
    use reads no text.
    """
    with desk.judging:
        with told_as(503):
            classifier = desk.classifier
        image = uploads.decoded(desk.settings, picture.file, classifier.min_edge)
        if not labels:
            record = prediction_record(classifier.classify_image(image))
            return {**record, "labels": record["labels"][:top]}
        texts = list(dict.fromkeys(labels))
        try:
            shares = classifier.predict_proba(image, texts)[0].tolist()
        except VocabularyError as error:
            raise Refusal(409, str(error), error.hint) from error
    ranked = sorted(zip(texts, shares, strict=True), key=lambda one: -one[1])
    return {"labels": [{"label": text, "probability": share} for text, share in ranked]}
