"""Options and fixtures every test may use."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from feeder.clock import Clock
from tests import exports
from tests.feeder_process import FeederProcess
from tests.site import Site
from tests.tiny_bundle import make_tiny_clip

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "photos"
"""Real photographs, which are not the project's to give away; tests without them skip."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--update-golden`, and how often the promises of docs/promises.md are tried."""
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew from the reference implementation, and fail",
    )
    parser.addoption(
        "--full", action="store_true", help="try each promise as often as docs/promises.md says"
    )
    parser.addoption(
        "--count",
        action="append",
        default=[],
        metavar="NAME=N",
        help="try one promise N times; its test names it",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def photos() -> Path:
    """The folder of real photographs; skips where it is absent."""
    if not PHOTOS.is_dir():
        pytest.skip("no folder of real photographs beside the checkout (shared/photos)")
    return PHOTOS


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed bundle with both encoders and random weights."""
    return make_tiny_clip(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another such bundle, whose embeddings mean something else."""
    return make_tiny_clip(tmp_path_factory.mktemp("models") / "other", seed=1)


@dataclass
class FakeClock:
    """A clock that moves when told to."""

    seconds: float = 1000.0
    start: datetime = field(default_factory=lambda: datetime(2026, 5, 1, 6, 30, tzinfo=UTC))

    def advance(self, seconds: float) -> None:
        """Lets `seconds` pass."""
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        """The clock to hand to the code under test."""
        return Clock(
            now=lambda: self.start + timedelta(seconds=self.seconds - 1000),
            monotonic=lambda: self.seconds,
            since_boot=lambda: self.seconds,
            boot_id=lambda: "a boot",
            synchronised=lambda: True,
            synchronised_at=lambda: None,
            battery=lambda: None,
            early_offset=lambda: None,
        )


@pytest.fixture
def time() -> FakeClock:
    """A clock that stands still until a test moves it."""
    return FakeClock()


@pytest.fixture
def write_config(tmp_path: Path, tiny_clip: Path) -> Callable[..., Path]:
    """Writes a config.toml on the tiny model; keyword arguments are more lines of a section."""

    def write(**sections: str) -> Path:
        path = tmp_path / "config.toml"
        deployment = sections.pop("deployment", 'name = "garden"\nfolder = "snapshots"')
        model = sections.pop("model", f'bundle = "{tiny_clip.as_posix()}"\nthreads = 1')
        inbox = sections.pop("inbox", "settle_seconds = 0.1")
        text = f"[[deployment]]\n{deployment}\n[model]\n{model}\n[inbox]\n{inbox}\n"
        for name, lines in sections.items():
            text += f"[{name}]\n{lines}\n"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def feeder(write_config: Callable[..., Path]) -> Iterator[FeederProcess]:
    """A feeder on an empty folder, not yet started."""
    made = FeederProcess(write_config())
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


@pytest.fixture
def site(tmp_path: Path, tiny_clip: Path) -> Iterator[Site]:
    """A garden whose page is not served yet, its log empty."""
    made = Site(tmp_path, tiny_clip)
    yield made
    made.close()


@pytest.fixture(scope="module")
def full_site(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Iterator[Site]:
    """A garden with some weeks in its log, for tests that change nothing in it."""
    made = Site(tmp_path_factory.mktemp("site"), tiny_clip)
    made.fill()
    yield made
    made.close()


@pytest.fixture(scope="module")
def base(full_site: Site) -> Iterator[str]:
    """The address at which `full_site` is served."""
    with full_site.serve() as address:
        yield address


@pytest.fixture
def awkward(write_config: Callable[..., Path]) -> exports.Export:
    """`feeder export` on a log with everything awkward in it, of two cameras in Dublin."""
    deployment = f'name = "garden"\nfolder = "snapshots"\n{exports.DUBLIN}'
    cabin = '[[deployment]]\nname = "@cabin"\nfolder = "cabin"\ntimezone = "Europe/Dublin"'
    path = write_config(
        model='bundle = "starter"\nthreads = 1',
        deployment=f"{deployment}\n{cabin}",
        export=exports.SECTION,
    )
    exports.awkward(path)
    return exports.exporter(path)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser without a window; skips where there is no Chromium."""
    program = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if program is None:
        pytest.skip("no Chromium on this computer; on Debian: apt install chromium")
    home = str(tmp_path_factory.mktemp("browser"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            # It leaves nothing in the home of whoever runs the tests.
            env={**os.environ, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home},
            args=[
                "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
                "--disable-background-networking", "--disable-component-update",
            ],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of a phone's size; what a page of the feeder does wrong fails the test at its end."""
    context = chromium.new_context(viewport={"width": 390, "height": 844})
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    yield opened
    context.close()
    assert not wrong, wrong
