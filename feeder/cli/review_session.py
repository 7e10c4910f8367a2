"""`feeder review` on a terminal: a frame, a key, the next frame."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.text import Text

from feeder import review as reviews
from feeder.cli.half_blocks import half_blocks
from feeder.cli.output import local, out, percent, say
from feeder.corrections import NOT_A_BIRD, UNKNOWN, Answer
from feeder.domain import Label
from feeder.errors import FeederError, VocabularyError
from feeder.judgement_log import JudgementLog
from feeder.review_log import MOST_COUNTED, ReviewLog, Waiting, Why
from feeder.thumbnails import reduced
from feeder.vocabulary import Vocabulary

COLUMNS, ROWS = 60, 20
"""A picture's room on the terminal, in characters."""

_KEYS = {
    "c": "confirm",
    "o": "other species",
    "n": "not a bird",
    "u": "unknown",
    "b": "block",
    "s": "skip",
    "z": "take back",
    "q": "quit",
}


@dataclass
class Session:
    """Asks about frames one after the other, and logs what it is told at once.

    `block` keeps a label from being named again; `picture_of` says where a picture lies.
    """

    log: ReviewLog
    judgements: JudgementLog
    vocabulary: Vocabulary
    person: str
    block: Callable[[str], None]
    picture_of: Callable[[Waiting], Path | None]
    zones: Mapping[str, ZoneInfo | None]
    read_key: Callable[[], str] = click.getchar
    ask: Callable[[str], str] = lambda what: str(click.prompt(what, default="", show_default=False))
    _done: list[tuple[Waiting, int]] = field(default_factory=list, init=False)

    def run(self, waiting: Sequence[Waiting]) -> None:
        """Goes through them until none is left or the person quits."""
        queue = deque(waiting)
        while queue:
            one = queue.popleft()
            self._show(one, len(queue))
            key = self._key(has_more=one.why is Why.NEW and one.frames > 1)
            if key == "q":
                break
            if key == "z":
                queue.appendleft(one)
                self._take_back(queue)
            elif key == "b" and one.label is not None:
                if not self._block(one.label.name):
                    queue.appendleft(one)
            elif key != "s":
                answer = self._answer(key.lower(), one)
                if answer is None:
                    queue.appendleft(one)
                    continue
                # A frame that was drawn at random speaks for itself alone.
                self._log(one, answer, everything=key.isupper() and one.why is Why.NEW)
                queue.extendleft(self.log.rest(one))
        say(f"{len(self._done)} decided")

    def _show(self, one: Waiting, more: int) -> None:
        path = self.picture_of(one)
        out.print()
        image = None if path is None or out.color_system is None else reduced(path, 2 * COLUMNS)
        if image is not None:
            out.print(half_blocks(image, min(COLUMNS, out.width), ROWS))
        taken = local(one.captured_at, self.zones.get(one.deployment))
        counted = f"{one.frames} or more" if one.frames == MOST_COUNTED else one.frames
        frames = f", {counted} frames" if one.frames > 1 else ""
        say(Text.assemble((one.shown, "bold"), f"  {percent(one.probability)}  {one.why.value}"))
        say(f"{one.deployment}, {taken}{frames}; frame {one.media_id}; {more} more waiting")
        others = ", ".join(f"{name} {percent(share)}" for name, share in one.runners_up)
        say(f"{one.reason}{f'; then {others}' if others else ''}")
        say(str(path) if path else "(its picture is not there)")

    def _key(self, *, has_more: bool) -> str:
        """A key that means something; O, N and U speak of all frames of the species."""
        capitals = "   [O] [N] [U] of all its frames" if has_more else ""
        say("  ".join(f"[{key}] {what}" for key, what in _KEYS.items()) + capitals)
        while True:
            try:
                key = self.read_key()
            except (KeyboardInterrupt, EOFError):
                return "q"
            if not key:  # the terminal is gone
                return "q"
            if key in _KEYS or key in {"O", "N", "U"}:
                return key

    def _answer(self, key: str, one: Waiting) -> Answer | None:
        """What the person says; None where they say nothing after all."""
        if key == "c":
            try:
                return reviews.confirmed(one)
            except FeederError as error:
                say(str(error))
                return None
        if key == "o":
            label = self._ask_for_label()
            return Answer.of(label) if label else None
        return NOT_A_BIRD if key == "n" else UNKNOWN

    def _ask_for_label(self) -> Label | None:
        while name := self.ask("species (nothing: back)"):
            label = self.vocabulary.find(name)
            if label is not None:
                return label
            say(f"There is no label {name!r}.{self.vocabulary.closest(name)}")
        return None

    def _log(self, one: Waiting, answer: Answer, *, everything: bool) -> None:
        ids = [one.media_id]
        if everything and one.label is not None:
            more = self.log.frames(one.deployment, one.label.name)
            ids += [media_id for media_id in more if media_id != one.media_id]
        number = reviews.record(self.judgements, answer, ids, person=self.person, why=one.why)
        self._done.append((one, number))
        say(f"{len(ids)} frame{'s' * (len(ids) > 1)}: {answer.words}")

    def _block(self, name: str) -> bool:
        if self.ask(f"never name {name} again? (y or nothing)") != "y":
            return False
        try:
            self.block(name)
        except VocabularyError as error:  # a label of an earlier vocabulary
            say(f"{error} {error.hint}")
            return False
        return True

    def _take_back(self, queue: deque[Waiting]) -> None:
        if not self._done:
            say("There is nothing to take back.")
            return
        one, number = self._done.pop()
        self.judgements.undo(number)
        # What its species showed next was asked for only because of it.
        if one.why is Why.NEW:
            same = one.why, one.shown, one.deployment
            for other in [at for at in queue if (at.why, at.shown, at.deployment) == same]:
                queue.remove(other)
        queue.appendleft(one)
