"""The drop folders -> settled paths."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from feeder.domain import Deployment, FoundPath, SettledPath
from feeder.inbox import EVENT_SECONDS, MAX_FRESH, MAX_WAITING, Inbox, _is_alive
from feeder.mounts import file_system
from feeder.settings_sections import InboxSection
from tests.conftest import FakeClock

SETTLE = 1.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty drop folder."""
    path = tmp_path / "snapshots"
    path.mkdir()
    return path


@pytest.fixture
def recorded() -> set[Path]:
    """Paths that the log already has."""
    return set()


OpenInbox = Callable[..., Inbox]


@pytest.fixture
def open_inbox(folder: Path, recorded: set[Path], time: FakeClock) -> Iterator[OpenInbox]:
    """Opens inboxes on the folder and closes them after the test."""
    opened: list[Inbox] = []

    def open_one(**settings: object) -> Inbox:
        section = InboxSection.model_validate(
            {"settle_seconds": SETTLE, "watcher": "polling", **settings}
        )
        inbox = Inbox(
            (Deployment("garden", folder),),
            section,
            lambda source: source.path in recorded,
            time.clock,
        )
        opened.append(inbox)
        inbox.start()
        return inbox

    yield open_one
    for inbox in opened:
        inbox.close()


def drain(inbox: Inbox) -> list[SettledPath]:
    """Everything that is settled now."""
    found = []
    while (source := inbox.take(0)) is not None:
        found.append(source)
    return found


def names(sources: list[SettledPath]) -> set[str]:
    """The file names of settled paths."""
    return {source.path.name for source in sources}


def test_a_file_waits_until_it_stands_still(
    folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """A file that still grows is not given; it is given once it has not changed for a while."""
    inbox = open_inbox()
    picture = folder / "a.jpg"
    picture.write_bytes(b"one")
    assert drain(inbox) == []
    time.advance(SETTLE)
    picture.write_bytes(b"one and two")
    assert drain(inbox) == []
    time.advance(SETTLE)
    (settled,) = drain(inbox)
    assert (settled.path, settled.size) == (picture, 11)


def test_what_is_there_at_the_start_is_found_by_the_same_rule(
    folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """The backlog, in folders below too, is given after it stood still, each path once."""
    (folder / "2026" / "05").mkdir(parents=True)
    (folder / "2026" / "05" / "old.jpg").write_bytes(b"old")
    os.utime(folder / "2026" / "05" / "old.jpg", (1, 1))
    inbox = open_inbox()
    assert drain(inbox) == []
    time.advance(SETTLE)
    assert names(drain(inbox)) == {"old.jpg"}
    time.advance(SETTLE)
    assert drain(inbox) == []


def test_recorded_paths_are_not_given_again(
    folder: Path, open_inbox: OpenInbox, recorded: set[Path], time: FakeClock
) -> None:
    """A path the log has is passed over."""
    (folder / "done.jpg").write_bytes(b"done")
    recorded.add(folder / "done.jpg")
    inbox = open_inbox()
    drain(inbox)
    time.advance(SETTLE)
    assert drain(inbox) == []
    assert inbox.is_empty


@pytest.mark.parametrize(
    "name",
    [".hidden.jpg", "a.jpg.part", "A.JPG.TMP", "b.filepart", "c.jpg.crdownload", "d.jpg~"],
)
def test_hidden_files_and_uploads_are_left_alone(
    name: str, folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """Names that mean "not yet" are never given."""
    (folder / name).write_bytes(b"x")
    inbox = open_inbox()
    drain(inbox)
    time.advance(SETTLE)
    assert drain(inbox) == []


def test_it_says_when_a_file_came_and_what_is_drained(
    open_inbox: OpenInbox, folder: Path, time: FakeClock
) -> None:
    """Files of the first scan may be of any age; a later one came since the scan before it."""
    (folder / "old.jpg").write_bytes(b"1")
    inbox = open_inbox(polling_seconds=10.0)
    assert inbox.drained is None
    assert drain(inbox) == []
    assert inbox.drained is None, "one path waits"
    time.advance(SETTLE)
    (old,) = drain(inbox)
    assert old.written is None
    assert inbox.drained == 1000.0
    (folder / "new.jpg").write_bytes(b"2")
    time.advance(10.0)
    assert drain(inbox) == []
    time.advance(SETTLE)
    (new,) = [source for source in drain(inbox) if source.path.name == "new.jpg"]
    assert new.written == (1000.0, 1011.0)
    (folder / "old.jpg").write_bytes(b"changed")
    inbox._mark(Deployment("garden", folder), folder / "old.jpg")
    assert drain(inbox) == []
    time.advance(SETTLE)
    (again,) = [source for source in drain(inbox) if source.path.name == "old.jpg"]
    assert again.written == (1012.0 - EVENT_SECONDS, 1012.0)


def test_only_regular_files_are_given(
    tmp_path: Path, folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """Links, FIFOs, and folders named like pictures are passed over."""
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "fifo.jpg")
    inbox = open_inbox()
    drain(inbox)
    time.advance(SETTLE)
    assert drain(inbox) == []


def test_the_rescan_finds_what_no_event_told_of(
    folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """Without any event a file is found by the next scan."""
    inbox = open_inbox(polling_seconds=10.0)
    drain(inbox)
    (folder / "late.jpg").write_bytes(b"late")
    time.advance(10)
    drain(inbox)
    time.advance(SETTLE)
    assert names(drain(inbox)) == {"late.jpg"}


def test_a_path_put_back_comes_again_and_counts(
    folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """A path sent back is offered later, with one more attempt, unless it changed meanwhile."""
    (folder / "a.jpg").write_bytes(b"half")
    inbox = open_inbox()
    drain(inbox)
    time.advance(SETTLE)
    (first,) = drain(inbox)
    inbox.put_back(first)
    assert drain(inbox) == []
    time.advance(3 * SETTLE)
    (second,) = drain(inbox)
    assert second.attempt == 1
    inbox.put_back(second)
    (folder / "a.jpg").write_bytes(b"half and half")
    time.advance(3 * SETTLE)
    assert drain(inbox) == []
    time.advance(SETTLE)
    (third,) = drain(inbox)
    assert third.attempt == 0


def test_a_path_put_back_waits_its_time(
    folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """What an earlier wait left behind does not bring a path back early."""
    (folder / "a.jpg").write_bytes(b"half")
    inbox = open_inbox()
    drain(inbox)
    inbox._mark(Deployment("garden", folder), folder / "a.jpg")
    drain(inbox)
    time.advance(SETTLE)
    (first,) = drain(inbox)
    inbox.put_back(first)
    time.advance(SETTLE)
    assert drain(inbox) == []
    time.advance(SETTLE)
    assert len(drain(inbox)) == 1


def test_new_frames_come_before_the_backlog(
    folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """With both waiting, a file an event told of is given before those a scan found."""
    for number in range(5):
        (folder / f"old{number}.jpg").write_bytes(b"old")
    inbox = open_inbox()
    drain(inbox)
    (folder / "new.jpg").write_bytes(b"new")
    inbox._mark(Deployment("garden", folder), folder / "new.jpg")
    drain(inbox)
    time.advance(SETTLE)
    assert next(source.path.name for source in drain(inbox)) == "new.jpg"


def test_a_flood_of_events_falls_back_to_the_scan(
    folder: Path, open_inbox: OpenInbox, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events beyond the bound are forgotten, and a scan at once finds their files all the same."""
    monkeypatch.setattr("feeder.inbox.MAX_WAITING", 10)
    inbox = open_inbox()
    drain(inbox)
    deployment = Deployment("garden", folder)
    for number in range(50):
        path = folder / f"{number}.jpg"
        path.write_bytes(b"x")
        inbox._mark(deployment, path)
    assert len(inbox._dirty) == 10
    found: set[str] = set()
    for _ in range(50):
        found |= names(drain(inbox))
        time.advance(SETTLE)
    assert len(found) == 50


def test_what_comes_after_a_flood_waits_behind_few(
    folder: Path, open_inbox: OpenInbox, time: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a flood only a part goes before the backlog: later frames need not wait for all."""
    monkeypatch.setattr("feeder.inbox.MAX_FRESH", 5)
    inbox = open_inbox()
    drain(inbox)
    deployment = Deployment("garden", folder)
    for number in range(50):
        (folder / f"{number}.jpg").write_bytes(b"x")
        inbox._mark(deployment, folder / f"{number}.jpg")
    drain(inbox)
    time.advance(SETTLE)
    given = [inbox.take(0)]
    (folder / "late.jpg").write_bytes(b"late")
    inbox._mark(deployment, folder / "late.jpg")
    given.append(inbox.take(0))
    time.advance(SETTLE)
    order = [source.path.name for source in given if source] + [
        source.path.name for source in drain(inbox)
    ]
    assert len(set(order)) == 51
    assert order.index("late.jpg") <= 5


def test_what_no_longer_waits_leaves_nothing_behind(
    folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """A file that an event tells of again and again takes no more memory than one."""
    inbox = open_inbox()
    drain(inbox)
    (folder / "latest.jpg").write_bytes(b"x")
    for _ in range(5_000):
        inbox._mark(Deployment("garden", folder), folder / "latest.jpg")
        inbox._admit_dirty()
        inbox._fresh.drop(os.fspath(folder / "latest.jpg"))
    assert len(inbox._fresh._due) < 1_000


def test_a_long_scan_is_followed_by_a_longer_rest(folder: Path, time: FakeClock) -> None:
    """Where a scan takes long, the next one waits until scanning was a fifth of the time."""
    for number in range(1_000):
        (folder / f"{number}.jpg").touch()

    def look_up(found: Sequence[FoundPath]) -> list[bool]:
        time.advance(0.1 * len(found))
        return [True] * len(found)

    inbox = Inbox(
        (Deployment("garden", folder),),
        InboxSection(watcher="polling", polling_seconds=10),
        lambda source: True,
        time.clock,
        are_recorded=look_up,
    )
    while not inbox.is_empty:
        inbox.take(0)
    began = time.seconds
    time.advance(390)
    assert inbox.is_empty
    time.advance(30)
    assert not inbox.is_empty
    assert time.seconds == began + 420


def test_new_frames_need_not_wait_for_a_scan(
    folder: Path, recorded: set[Path], open_inbox: OpenInbox, time: FakeClock
) -> None:
    """Between two looks at the new frames a scan looks at a limited number of entries."""
    for number in range(3_000):
        (folder / f"{number}.jpg").touch()
        recorded.add(folder / f"{number}.jpg")
    inbox = open_inbox()
    inbox._mark(Deployment("garden", folder), folder / "0.jpg")
    recorded.remove(folder / "0.jpg")
    inbox.take(0)
    time.advance(SETTLE)
    source = inbox.take(0)
    assert source is not None
    assert source.path.name == "0.jpg"
    assert inbox._scan is not None


def test_a_missing_folder_is_waited_for(
    folder: Path, open_inbox: OpenInbox, time: FakeClock
) -> None:
    """A folder that goes and comes back is said to be waited for, then scanned again."""
    inbox = open_inbox(polling_seconds=10.0)
    drain(inbox)
    folder.rmdir()
    time.advance(10)
    drain(inbox)
    assert inbox.watchers() == {"garden": f"waiting for {folder}"}
    folder.mkdir()
    (folder / "back.jpg").write_bytes(b"back")
    time.advance(10)
    drain(inbox)
    time.advance(SETTLE)
    assert names(drain(inbox)) == {"back.jpg"}


@pytest.mark.parametrize("arrive", ["write", "rename", "link", "move_folder"])
def test_real_events_bring_a_file_at_once(
    arrive: str, tmp_path: Path, folder: Path, recorded: set[Path]
) -> None:
    """With a native watcher, a file is given within seconds however it came."""
    section = InboxSection(settle_seconds=0.05, watcher="native", rescan_seconds=3600)
    deployment = Deployment("garden", folder)
    inbox = Inbox((deployment,), section, lambda source: source.path in recorded)
    inbox.start()
    try:
        while not inbox.is_empty:
            inbox.take(0.1)
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "bird.jpg").write_bytes(b"bird")
        if arrive == "write":
            (folder / "bird.jpg").write_bytes(b"bird")
        elif arrive == "rename":
            (outside / "bird.jpg").rename(folder / "bird.jpg")
        elif arrive == "link":
            os.link(outside / "bird.jpg", folder / "bird.jpg")
        else:
            outside.rename(folder / "day")
        found = next(filter(None, (inbox.take(0.5) for _ in range(20))), None)
        assert found is not None
        assert found.path.name == "bird.jpg"
    finally:
        inbox.close()


def test_a_folder_made_anew_is_watched_again(tmp_path: Path, folder: Path) -> None:
    """When the drop folder is deleted and made again, events come from the new one."""
    section = InboxSection(settle_seconds=0.05, watcher="native", rescan_seconds=0.2)
    inbox = Inbox((Deployment("garden", folder),), section, lambda source: False)
    inbox.start()
    try:
        folder.rmdir()
        folder.mkdir()
        while inbox._watches[0].observer is None or not _is_alive(inbox._watches[0]):
            inbox.take(0.1)
        inbox._scan_due = float("inf")
        while inbox._scan is not None:
            inbox.take(0.1)
        (folder / "bird.jpg").write_bytes(b"bird")
        found = next(filter(None, (inbox.take(0.5) for _ in range(20))), None)
        assert found is not None
    finally:
        inbox.close()


def test_a_frame_in_a_folder_below_costs_no_scan(folder: Path) -> None:
    """A file in a dated folder is found by its own event; the tree is not walked for it."""
    (folder / "day").mkdir()
    section = InboxSection(settle_seconds=0.05, watcher="native", rescan_seconds=3600)
    inbox = Inbox((Deployment("garden", folder),), section, lambda source: False)
    inbox.start()
    try:
        while not inbox.is_empty:
            inbox.take(0.1)
        due = inbox._scan_due
        (folder / "day" / "bird.jpg").write_bytes(b"bird")
        found = next(filter(None, (inbox.take(0.5) for _ in range(20))), None)
        assert found is not None
        assert inbox._scan_due == due
    finally:
        inbox.close()


def test_a_burst_loses_nothing_though_events_are_dropped(folder: Path) -> None:
    """More files at once than may wait are all found without waiting for the next scan."""
    count = MAX_FRESH + 2 * MAX_WAITING
    section = InboxSection(settle_seconds=0.05, watcher="native", rescan_seconds=36_000)
    done: set[Path] = set()
    inbox = Inbox((Deployment("garden", folder),), section, lambda source: source.path in done)
    inbox.start()
    try:
        while not inbox.is_empty:
            inbox.take(0.1)
        for number in range(count):
            (folder / f"{number}.jpg").touch()
        idle = 0
        while len(done) < count and idle < 20:
            source = inbox.take(0.5)
            idle = 0 if source else idle + 1
            if source is not None:
                done.add(source.path)
        assert len(done) == count
    finally:
        inbox.close()


def test_the_file_system_is_that_of_the_longest_mount(tmp_path: Path) -> None:
    """A path's file system is that of the innermost mount, also before the path exists."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "35 21 0:45 / /mnt/my\\040nas rw shared:1 - nfs4 nas:/birds rw\n",
        encoding="utf-8",
    )
    assert file_system(Path("/mnt/my nas/cam/1"), mounts) == "nfs4"
    assert file_system(Path("/mnt/other"), mounts) == "ext4"
    assert file_system(Path("/x"), tmp_path / "absent") == ""
