"""What a picture shows that somebody sends; it is judged, and forgotten."""

from typing import Annotated, Any

from fastapi import File, Form, UploadFile
from pydantic import StringConstraints

from feeder.records import prediction_record
from feeder.web.api import models
from feeder.web.api.errors import Refusal, documented, told_as
from feeder.web.api.told import told_router
from feeder.web.desk import TheDesk
from feeder.web.judging import TheJudge

router = told_router("identify")

Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]


@router.post(
    "/identify",
    response_model=models.Identified,
    responses=documented(400, 409, 413, 415),
)
def identify_picture(
    desk: TheDesk,
    judge: TheJudge,
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
    data = picture.file.read(judge.max_bytes + 1)
    if len(data) > judge.max_bytes:
        raise Refusal(
            413,
            f"The upload is larger than {judge.max_bytes / 1e6:g} megabytes.",
            "`max_megabytes` under [web] and [frames] in config.toml are the limits.",
        )
    texts = list(dict.fromkeys(labels))
    with told_as(503):
        bundle = desk.classifier.bundle
    if texts and bundle.manifest.text is None:
        raise Refusal(
            409,
            f"The model {bundle.manifest.name} has no text encoder, so it cannot score free texts.",
            "Leave `labels` out, or get a CLIP, which reads texts: `feeder model pull ID`.",
        )
    look = judge.look(data, texts=texts)
    if texts:
        return {"labels": [{"label": text, "probability": share} for text, share in look.texts]}
    record = prediction_record(look.prediction)
    return {**record, "labels": record["labels"][:top]}
