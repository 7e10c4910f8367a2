"""What pages are made from."""

from feeder.cli.wiring import open_classifier
from feeder.config import Settings
from feeder.vocabulary import Vocabulary
from feeder.web.desk import AGAIN_SECONDS, Desk
from tests.conftest import FakeClock
from tests.site import Site


def test_a_refused_vocabulary_is_not_asked_for_at_each_page(site: Site, time: FakeClock) -> None:
    """Every page wants labels; it is tried again after a while, and once labels have changed."""
    asked: list[Settings] = []

    def load(settings: Settings) -> Vocabulary | None:
        asked.append(settings)
        return None

    desk = Desk(site.settings, load, open_classifier, time.clock)
    assert [desk.groups, desk.vocabulary, desk.vocabulary] == [{}, None, None]
    assert len(asked) == 1
    time.advance(AGAIN_SECONDS)
    assert desk.vocabulary is None and len(asked) == 2
    site.settings.own_labels.parent.mkdir(parents=True, exist_ok=True)
    site.settings.own_labels.write_text("", encoding="utf-8")
    assert desk.vocabulary is None and len(asked) == 3
