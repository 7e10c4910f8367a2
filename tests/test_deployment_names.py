"""A camera's name in the settings and in the log."""

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feeder import config, counting, doctor
from feeder.cli import app
from feeder.cli.wiring import sole_writer
from feeder.counting import Terms
from feeder.deployment_log import DeploymentLog
from feeder.errors import LogbookError
from feeder.sighting_log import SightingLog
from feeder.tally import Tally
from tests.sightings import ROBIN
from tests.site import Site


def feeder(site: Site, *arguments: str) -> Result:
    """Runs a command; errors that users meet are raised."""
    called = ["--config", str(site.config), *arguments]
    return CliRunner().invoke(app, called, catch_exceptions=False)


def called(site: Site, name: str) -> None:
    """Gives the camera another name in the settings."""
    text = site.config.read_text(encoding="utf-8")
    site.config.write_text(text.replace('name = "garden"', f'name = "{name}"'), encoding="utf-8")


def complaints(site: Site) -> list[str]:
    """How the doctor says that the names are to be mended."""
    checks = doctor.quick(config.load(site.config))
    return [one.mend for one in checks if one.name == "deployments"]


def test_a_name_that_only_the_settings_have_is_said_and_can_be_put_into_the_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the whole folder is logged again; after a rename nothing is."""
    site.see(ROBIN)
    assert complaints(site) == []
    called(site, "pond")
    assert "feeder deployment rename 'garden' 'pond'" in complaints(site)[0]
    assert feeder(site, "deployment", "rename", "garden", "pond").exit_code == 0
    assert complaints(site) == []
    with caplog.at_level(logging.WARNING):
        assert feeder(site, "run", "--once").exit_code == 0
    assert "second time" not in caplog.text
    assert SightingLog(site.settings.database).newest_frame() == 1
    (found,) = json.loads(feeder(site, "deployment", "list", "--json").stdout)
    assert found == {"deployment": "pond", "is_configured": True, "is_in_log": True}


def test_a_start_warns_before_the_folder_is_logged_again(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """It says what that means, and the command that helps."""
    site.see(ROBIN)
    called(site, "pond")
    feeder(site, "run", "--once")
    assert "logged a second time" in caplog.text
    assert "feeder deployment rename 'garden' 'pond'" in caplog.text


def test_no_camera_is_renamed_into_another_nor_under_a_daemon(site: Site) -> None:
    """Two are not joined, one that is not there is no other, and whoever logs is not disturbed."""
    site.see(ROBIN)
    for names, said in (
        (("garden", "garden"), "knows a camera 'garden' already"),
        (("porch", "pond"), "knows no camera 'porch'"),
    ):
        with pytest.raises(LogbookError, match=said):
            feeder(site, "deployment", "rename", *names)
    with sole_writer(site.settings), pytest.raises(LogbookError, match="already writes"):
        feeder(site, "deployment", "rename", "garden", "pond")


def test_what_was_counted_is_counted_under_the_new_name(site: Site, tmp_path: Path) -> None:
    """The page's own counts know cameras by name."""
    site.see(ROBIN)
    tally = Tally(tmp_path / "tally.db")
    tally.prepare()
    log = SightingLog(site.settings.database)
    terms = Terms(site.settings.visits.gap, {}, {"garden": None, "pond": None})
    for name in ("garden", "pond"):
        if name == "pond":
            with DeploymentLog(site.settings.database, writable=True) as names:
                names.rename("garden", "pond")
        counting.look(log, tally, terms)
        while counting.work(log, tally, terms):
            pass
        assert {one.camera for one in tally.shots(ROBIN.name, 10)} == {name}
