"""Whatever comes, and however it settles, a visit has one message at most."""

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeder import config
from feeder.alerts.alerts import Alerts
from feeder.alerts.rules import Rules, Sort
from feeder.domain import UNIDENTIFIED_BIRD
from feeder.live_visits import LiveVisits
from feeder.sighting_log import SightingLog
from feeder.visits import visits
from tests.conftest import FakeClock
from tests.sightings import ROBIN, SPARROW, START, SightedLog

GAP = timedelta(minutes=5)
LABELS = (ROBIN, SPARROW, UNIDENTIFIED_BIRD)

FRAMES = st.lists(
    st.tuples(
        st.sampled_from([1, 4, 15, 50, 130, 400]),  # seconds since the last
        st.sampled_from([0, 0, 0, 1, 1, 2]),
        st.sampled_from([0.5, 0.6, 0.95]),
        st.booleans(),  # the companion is killed, and started again
    ),
    min_size=2,
    max_size=16,
)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(FRAMES)
def test_a_visit_has_one_message_and_a_sure_one_has_it(
    frames: list[tuple[int, int, float, bool]],
) -> None:
    """Frames in time, and a companion that dies at any: no visit is told twice, none is lost."""
    time = FakeClock()
    with tempfile.TemporaryDirectory() as folder:
        text = '[[deployment]]\nname = "garden"\nfolder = "snapshots"\ntimezone = "UTC"\n'
        text += '[alerts]\nsend_to = ["json://127.0.0.1:9"]\nmost_an_hour = 1000\n'
        chosen = config.parse(text, Path(folder, "config.toml"))
        seen = SightedLog(chosen.database, time.clock)
        rules = Rules(frozenset([Sort.VISIT]))
        alerts = Alerts(chosen, rules, None, time.clock)
        live = LiveVisits(chosen.database, alerts.began, alerts.ended, time.clock)

        def turn() -> None:
            live.logged()
            live.turn(GAP, {})
            alerts.turn()

        turn()
        for seconds, label, probability, dies in frames:
            for _ in range(seconds // 100):
                time.advance(100)
                turn()
            time.advance(seconds % 100)
            if dies:
                alerts = Alerts(chosen, rules, None, time.clock)
                live = LiveVisits(chosen.database, alerts.began, alerts.ended, time.clock)
            others = [(one, 0.3) for one in LABELS[:2] if one is not LABELS[label]][:1]
            at = START + timedelta(seconds=time.seconds - 1000)
            seen.see(at, LABELS[label], probability, *others)
            turn()
        for _ in range(8):
            time.advance(100)
            turn()
        seen.logbook.close()
        every = visits(SightingLog(chosen.database).in_order(), GAP, {})
        with alerts.state.reading() as content:
            told = content.told
            assert len(content.outbox) == len(told)
        for visit in every:
            frames = SightingLog(chosen.database).fingerprints(visit.media_ids)
            assert sum(one.frames[0] in frames for one in told) <= 1, (visit, told)
            assert any(one.is_of(visit, frames) for one in told), (visit, told)
