"""What the API answers with: the commands' records, with every field described for OpenAPI.

The names are those of `feeder ... --json`: Camtrap DP's and Darwin Core's in snake_case.
"""

from datetime import date

from pydantic import Field

from feeder.domain import Kind, ObservationType
from feeder.judgement_log import State
from feeder.review_log import Why
from feeder.web.api.shapes import Instant, Items, Picture, Record


class Visit(Record):
    """One stay of one species before one camera: Camtrap DP's `observationLevel` `event`."""

    event_id: str = Field(
        description="camera and first frame; it stays while that frame is the first",
        examples=["garden:1742"],
    )
    event_start: Instant
    event_end: Instant
    duration_seconds: float
    timestamp_trusted: bool = Field(description="false where the clock may have been wrong")
    deployment: str = Field(description="the camera")
    label: str = Field(examples=["European Robin"])
    scientific_name: str | None
    ebird_code: str | None
    kind: Kind
    classification_method: str = Field(
        description="`human` where a person named a frame of it, else `machine`"
    )
    classification_probability: float = Field(description="the mean over its frames")
    max_n: int | None = Field(description="the most individuals at once; null: not known")
    frames: int
    best_media_id: int = Field(description="the frame to show")
    media_ids: list[int]


class Share(Record):
    """A label that was held for likely, and how likely."""

    label: str
    probability: float


class Tag(Record):
    """What else a picture shows."""

    attribute: str = Field(examples=["behaviour"])
    value: str = Field(examples=["bathing"])
    probability: float


class Frame(Record):
    """A frame with the observation that counts."""

    media_id: int
    observation_id: int
    observation_type: ObservationType
    timestamp: Instant
    timestamp_source: str
    timestamp_trusted: bool
    timestamp_recorded: Instant | None = Field(
        description="as first written, where it was corrected"
    )
    favorite: bool
    deployment: str
    timezone: str | None
    label: str | None
    scientific_name: str | None
    ebird_code: str | None
    kind: Kind | None
    classification_probability: float | None
    bird_probability: float | None
    margin: float | None
    cosine: float | None
    reason: str
    runners_up: list[Share]
    bbox_x: float | None = Field(description="the part that was judged; null: the whole frame")
    bbox_y: float | None
    bbox_width: float | None
    bbox_height: float | None
    classification_method: str
    classified_by: str
    classification_timestamp: Instant
    judgement_id: int | None = Field(description="the correction or judging again that it is of")
    file_name: str
    width: int | None
    height: int | None
    sha256: str
    model_digest: str | None
    vocabulary_digest: str | None
    tags: list[Tag]
    picture: Picture


class Observation(Record):
    """A verdict on a frame, of a machine or a person, whether it counts or not."""

    observation_id: int
    observation_type: ObservationType
    label: str | None
    scientific_name: str | None
    ebird_code: str | None
    kind: Kind | None
    classification_method: str
    classified_by: str
    classification_timestamp: Instant
    classification_probability: float | None
    bird_probability: float | None
    margin: float | None
    cosine: float | None
    reason: str
    runners_up: list[Share]
    bbox_x: float | None
    bbox_y: float | None
    bbox_width: float | None
    bbox_height: float | None
    judgement_id: int | None
    state: State = Field(description="of its judgement; `in force` where it is of none")
    model_digest: str | None
    vocabulary_digest: str | None


class FrameWithHistory(Frame):
    """A frame, and everything that was ever said of it, the newest first."""

    observations: list[Observation]


class Favorite(Record):
    """Whether a frame's picture stays for ever."""

    media_id: int
    favorite: bool


class Streak(Record):
    """Days in a row, up to and with `last`."""

    days: int
    last: date
    is_current: bool = Field(description="whether it may still go on")


class Species(Record):
    """One label's share of the visits."""

    label: str
    scientific_name: str | None
    kind: Kind
    is_species: bool = Field(description="false of groups of look-alikes and unidentified birds")
    visits: int
    frames: int
    days: int
    last: Instant = Field(description="when the last visit began")
    streaks: list[Streak]


class First(Record):
    """The first visit of a species ever, or of the season."""

    label: str
    event_start: Instant
    deployment: str
    best_media_id: int
    absence_days: int | None = Field(description="whole days without it before; null: first ever")


class Statistics(Record):
    """What visits add up to. Days and hours are those of the cameras' clocks."""

    since: Instant | None
    until: Instant | None
    visits: int
    undated: int = Field(description="visits whose clock nobody vouched for")
    species: list[Species]
    by_day: dict[str, int]
    by_hour: list[int] = Field(description="24 counts")
    absence_days: int
    first: list[First]
    bird_streaks: list[Streak]


class Hit(Record):
    """A frame that was found by likeness."""

    media_id: int
    similarity: float = Field(description="cosine, 1 at most; what is much depends on the model")
    timestamp: Instant
    timestamp_trusted: bool
    deployment: str
    observation_type: ObservationType
    label: str | None
    classification_probability: float | None
    file_name: str
    picture: Picture


class Hits(Items[Hit]):
    """What was found, the likest first."""

    not_searched: int = Field(description="frames that have another model's embedding only")


class Waiting(Record):
    """A frame that waits for a person."""

    media_id: int
    why: Why
    deployment: str
    observation_type: ObservationType
    label: str | None
    scientific_name: str | None
    timestamp: Instant
    first_seen: Instant
    frames: int = Field(description="frames that show the species, as far as they were counted")
    classification_probability: float | None
    runners_up: list[Share]
    reason: str
    picture: Picture


class Nearly(Record):
    """What a model came near to saying, and of how many frames."""

    label: str
    frames: int


class Cluster(Record):
    """Frames that are alike and that nothing was named on."""

    media_id: int = Field(description="the frame that stands for it")
    frames: int
    first: Instant
    last: Instant
    deployments: list[str]
    nearly: list[Nearly]
    best: list[int] = Field(description="the most typical frames")
    media_ids: list[int]


class Unknowns(Items[Cluster]):
    """Clusters, the largest first."""

    clusters: int = Field(description="how many there are, listed or not")
    frames: int = Field(description="frames that were sorted")
    alone: int = Field(description="of these, in no cluster")
    not_sorted: int = Field(description="without an embedding of the model in use")
    too_old: int = Field(description="beyond the newest ones that are sorted at once")


class Correction(Record):
    """A correction as the list shows it."""

    judgement_id: int
    state: State
    made_by: str
    made_at: Instant
    frames: int | None
    description: str


class Corrected(Record):
    """What a frame showed before a correction."""

    media_id: int
    deployment: str
    timestamp: Instant
    observation_type: ObservationType
    label: str | None
    confirmed: bool = Field(description="whether the log said the same already")


class Made(Record):
    """A correction that was made just now."""

    judgement_id: int = Field(description="undo it by this number")
    observation_type: ObservationType
    label: str | None
    frames: list[Corrected]


class Undone(Record):
    """A correction that was taken back."""

    judgement_id: int
    frames: int | None


class Label(Record):
    """What can be named."""

    name: str
    scientific_name: str
    ebird_code: str
    kind: Kind
    aliases: list[str]
    own: bool = Field(description="added by the user")
    blocked: bool = Field(description="scored, and never named")
    without_vector: str | None = Field(description="why the model cannot name it")
    from_corrections: bool = Field(description="known from what people called frames alone")


class Candidate(Record):
    """A label's share of a verdict."""

    label: str
    probability: float
    scientific_name: str | None = None
    cosine: float | None = None


class Identified(Record):
    """What an uploaded picture shows. With texts of your own, `labels` alone say something."""

    labels: list[Candidate] = Field(description="the best first")
    verdict: ObservationType | None = None
    named: str | None = Field(None, description="what the verdict calls it; null: it declines")
    reason: str | None = None
    bird_probability: float | None = None
    margin: float | None = None
    tags: list[Tag] = Field(default_factory=list)


class Deployment(Record):
    """A camera that the log knows."""

    deployment: str
    latitude: float | None
    longitude: float | None
    timezone: str | None
    deployment_start: Instant | None = Field(description="when its first frame was logged")
    latest_timestamp: Instant | None = Field(description="when its newest frame was taken")


class FeederState(Record):
    """Whether a camera's feeder wants filling."""

    deployment: str
    is_empty: bool | None = Field(description="null: not known")
    since: Instant | None
    looked: Instant | None


class Daemon(Record):
    """How the daemon says it is."""

    words: str | None = Field(description="null before its first word")
    waiting: int | None = Field(description="files that it knows to be waiting")
    silent_seconds: float
    is_hanging: bool


class Health(Record):
    """How the feeder is."""

    version: str
    daemon: Daemon | None = Field(description="null where this server was started by hand")
    frames: int = Field(description="the newest frame's number, which is how many there are")
    log_bytes: int
    free_bytes: int = Field(description="on the log's disk")
    deployments: list[Deployment]
