"""The nouns of the program, frozen. `docs/glossary.md` maps them to their standards."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from PIL import Image

Vectors = npt.NDArray[np.float32]
"""float32 array; its shape stands in each docstring, `d` being the bundle's embedding width."""


class Kind(StrEnum):
    """What a label names. `P(bird)` sums the labels whose kind is `BIRD`."""

    BIRD = "bird"
    MAMMAL = "mammal"
    HUMAN = "human"
    BLANK = "blank"


class ObservationType(StrEnum):
    """The verdict on a frame, in Camtrap DP's `observationType` terms."""

    ANIMAL = "animal"
    HUMAN = "human"
    BLANK = "blank"
    UNKNOWN = "unknown"
    UNCLASSIFIED = "unclassified"


class TimeSource(StrEnum):
    """Where a capture time came from, the most trustworthy first."""

    EXIF_OFFSET = "exif+offset"
    EXIF = "exif"
    MTIME = "mtime"


class KnownBy(StrEnum):
    """Who vouches for a computer's clock, the most trustworthy first."""

    NETWORK = "network"
    BATTERY = "battery"
    ASSUMED = "assumed"  # this system cannot tell, and nothing speaks against it


@dataclass(frozen=True, slots=True)
class ClockEpoch:
    """A stretch of one boot in which nobody set the clock: Unix time = since boot + `offset`.

    All times are seconds since that boot: it `began` then at the earliest and `ended` then at the
    latest, was last `seen`, and every file written before `drained` was in the log. `ended` is
    None for one that goes on, or whose end nobody saw. `known_by` is None while nobody vouches
    for the clock.
    """

    number: int
    boot: str
    offset: float
    began: float
    seen: float
    drained: float
    ended: float | None = None
    known_by: KnownBy | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """One camera at one place: the folder it fills and where on Earth it stands.

    `zone` reads EXIF times without an offset and shows local times; None is the computer's own.
    `mask` are parts of its pictures that nobody is to judge.
    """

    name: str
    folder: Path
    latitude: float | None = None
    longitude: float | None = None
    zone: ZoneInfo | None = None
    mask: "tuple[Box, ...]" = ()


@dataclass(frozen=True, slots=True)
class Label:
    """One entry of a vocabulary.

    `prompts` replace the vocabulary's templates; `alternatives` are scored each on its own and
    their probabilities summed; `photos` is an `.npz` of example embeddings beside the file. One
    that `is_text` takes what is read in a picture and not seen.
    """

    name: str
    kind: Kind
    scientific_name: str = ""
    ebird_code: str = ""
    aliases: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    photos: Path | None = None
    is_text: bool = False

    @property
    def is_any_bird(self) -> bool:
        """Whether it stands for birds of whatever species."""
        return self.scientific_name == "Aves"


@dataclass(frozen=True, slots=True)
class Group:
    """Labels that a picture may not tell apart, by name, and the label they have in common."""

    label: Label
    members: tuple[str, ...]


UNIDENTIFIED_BIRD = Label("unidentified bird", Kind.BIRD, "Aves", "bird1")
"""What a picture shows that is a bird beyond doubt and of no species beyond doubt."""

UNIDENTIFIED_ANIMAL = "unidentified animal"
"""What the log calls that which a person named an animal and no more."""


@dataclass(frozen=True, slots=True)
class SettledPath:
    """A file in a drop folder whose size (bytes) and mtime (ns) have stood still.

    `attempt` counts the times it has been read before and sent back. `written` are the seconds
    since boot between which it came to be what it is; None where it may have lain there before.
    """

    deployment: Deployment
    path: Path
    size: int
    mtime_ns: int
    attempt: int = 0
    written: tuple[float, float] | None = None


class FoundPath(NamedTuple):
    """A file as a scan met it, size in bytes and mtime in ns.

    The path is text, for a scan meets every file that was ever kept.
    """

    deployment: Deployment
    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One snapshot: the file's identity and, where its bytes are a picture, its pixels.

    `sha256` is hexadecimal, "" where the file was too large to read. `image` is upright RGB,
    possibly reduced while decoding; `width` and `height` are the stored picture's, in pixels.
    Where there are no pixels, `defect` says why. `trusted` is False where the clock that gave
    `captured_at` may be wrong, and `epoch` the number of its epoch, None where no later knowledge
    can better it.
    """

    source: SettledPath
    sha256: str
    captured_at: datetime
    time_source: TimeSource
    media_type: str = "application/octet-stream"
    width: int | None = None
    height: int | None = None
    image: Image.Image | None = field(default=None, repr=False, compare=False)
    defect: str = ""
    trusted: bool = True
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a frame: left, top, width and height as shares of its width and height.

    Source: Camtrap DP's `bboxX`, `bboxY`, `bboxWidth` and `bboxHeight`.
    """

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A label's share of one prediction: probability in [0, 1] and raw cosine in [-1, 1]."""

    label: Label
    probability: float
    cosine: float


@dataclass(frozen=True, slots=True)
class Tag:
    """What a side vocabulary says of a picture: that its `behaviour` is `bathing`, how surely.

    `vocabulary_digest` names the side vocabulary.
    """

    attribute: str
    value: str
    probability: float
    vocabulary_digest: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A machine's verdict on one picture.

    `candidates` are the k best labels, best first; empty where the picture could not be decoded.
    `bird_probability` is P(bird), None in a vocabulary without birds. `margin` is the best minus
    the second probability. `named` is what the verdict calls the picture: the best label, a
    group with its members' summed probability, `UNIDENTIFIED_BIRD` with P(bird), or None where it
    declines. `reason` says in words why. `region` is the part of the frame that was judged, None
    for all of it, and `embedding` its float32 [d] unit vector. `tags` say what else it shows. The
    digests name the bundle and vocabulary.
    """

    observation_type: ObservationType
    reason: str
    candidates: Sequence[Candidate] = ()
    named: Candidate | None = None
    bird_probability: float | None = None
    margin: float | None = None
    embedding: Vectors | None = field(default=None, repr=False, compare=False)
    model_digest: str = ""
    vocabulary_digest: str = ""
    region: Box | None = None
    tags: tuple[Tag, ...] = ()

    @property
    def best(self) -> Candidate | None:
        """The most probable label, or None where nothing was scored."""
        return self.candidates[0] if self.candidates else None


def unclassified(reason: str) -> Prediction:
    """The prediction for a frame that could not be decoded."""
    return Prediction(ObservationType.UNCLASSIFIED, reason)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A frame's observation that counts, where it names an animal.

    `probability` is what `label` was given, None where a person named it; `runners_up` are names
    of other labels with theirs. `trusted` is False where the clock that gave `captured_at` (UTC)
    may have been wrong.
    """

    media_id: int
    deployment: str
    captured_at: datetime
    label: Label
    probability: float | None
    runners_up: tuple[tuple[str, float], ...] = ()
    trusted: bool = True
    is_favorite: bool = False

    @property
    def is_by_person(self) -> bool:
        """Whether a person named it."""
        return self.probability is None


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of one species before one camera: Camtrap DP's `observationLevel` `event`.

    `media_ids` are its frames in time order, the first taken at `start` and the last at `end`
    (UTC); `best` is the one to show. `confidence` is the mean probability of `label` over the
    frames, those that were read otherwise included; a person's word is 1. `is_by_person` says that
    a person named at least one of them, `is_favorite` that `best` is a favorite. `trusted` is
    False where the clock may have been wrong.

    `max_n`, the most individuals seen at once, is None wherever it is not known. A verdict is on
    the whole frame and counts no birds, and two species in one minute may be one bird misread; so
    nothing in the log says more than "at least one".
    """

    deployment: str
    label: Label
    start: datetime
    end: datetime
    media_ids: tuple[int, ...]
    best: int
    confidence: float
    is_by_person: bool = False
    trusted: bool = True
    max_n: int | None = None
    is_favorite: bool = False

    @property
    def visit_id(self) -> str:
        """Darwin Core's `eventID`: `garden:1742`, for the camera and the first frame.

        No two visits share a frame, so it is unique, and it stays as long as that frame is the
        first: later frames, another gap or another name for the bird leave it alone.
        """
        return f"{self.deployment}:{self.media_ids[0]}"

    @property
    def duration(self) -> timedelta:
        """From the first to the last frame; zero for a single one."""
        return self.end - self.start
