"""`config.toml` -> settings."""

import subprocess
import tomllib
from pathlib import Path

import pytest

from feeder import config
from feeder.bundle import Thresholds
from feeder.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
DEPLOYMENT = '[[deployment]]\nname = "garden"\nfolder = "snapshots"\n'


def refused(text: str) -> ConfigError:
    """The error that `text` as a config raises."""
    with pytest.raises(ConfigError) as caught:
        config.parse(text, Path("/feeder/config.toml"))
    return caught.value


def test_a_fresh_config_is_valid_and_names_every_key() -> None:
    """The text `feeder init` writes loads, and holds every key, set or commented out."""
    text = config.fresh()
    config.parse(text, Path("/feeder/config.toml"))
    every = "\n".join(line.removeprefix("# ") for line in text.splitlines() if " = " in line)
    for section in (config.DeploymentSection, config.InboxSection, config.ThresholdsSection):
        for key in section.model_fields:
            assert f"\n{key} = " in f"\n{every}"


def test_a_fresh_config_states_the_defaults() -> None:
    """Every value in a fresh config is the one that leaving the key out gives."""
    fresh = tomllib.loads(config.fresh())
    bare = config.parse(DEPLOYMENT, Path("/feeder/config.toml"))
    for name in ("model", "thresholds", "inbox", "frames", "logbook", "retention"):
        section = getattr(bare, name)
        for key, value in fresh[name].items():
            default = getattr(section, key)
            assert (list(default) if isinstance(default, tuple) else default) == value, key


def test_the_root_config_is_a_fresh_one() -> None:
    """The checkout's own config.toml, unless the user has changed it, is what init writes."""
    path = ROOT / "config.toml"
    status = subprocess.run(
        ["git", "diff", "--quiet", "HEAD", "--", "config.toml"], cwd=ROOT, check=False
    )
    if status.returncode != 0:
        pytest.skip("config.toml differs from the committed one, or there is no git here")
    assert path.read_text(encoding="utf-8") == config.fresh()


def test_paths_start_at_the_file() -> None:
    """Relative paths are relative to the config file, not to where the program was started."""
    settings = config.parse(DEPLOYMENT, Path("/feeder/config.toml"))
    assert settings.deployments[0].folder == Path("/feeder/snapshots").absolute()
    assert settings.database == Path("/feeder/data/feeder.db").absolute()


@pytest.mark.parametrize(
    ("text", "key", "suggestion"),
    [
        (DEPLOYMENT + "[inbox]\nsettle_second = 1", "`inbox.settle_second`", "settle_seconds"),
        (DEPLOYMENT + "[modell]\n", "`modell`", "model"),
        ('[[deployment]]\nname = "a"\nfoldr = "x"', "`deployment[1].foldr`", "folder"),
    ],
)
def test_an_unknown_key_suggests_the_right_one(text: str, key: str, suggestion: str) -> None:
    """A misspelt key is an error that names it and the key that was meant."""
    error = refused(text)
    assert key in str(error)
    assert f"`{suggestion}`" in error.hint


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (DEPLOYMENT + '[model]\nthreads = "2"', "`model.threads`"),
        (DEPLOYMENT + "latitude = 91.0", "`deployment[1].latitude`"),
        (DEPLOYMENT + 'timezone = "Mars/Olympus"', "`deployment[1].timezone`"),
        (DEPLOYMENT + '[inbox]\nwatcher = "psychic"', "`inbox.watcher`"),
        ("", "`deployment`"),
    ],
)
def test_an_ill_typed_value_names_its_key(text: str, key: str) -> None:
    """A value of the wrong type or range is an error that names the key."""
    assert key in str(refused(text))


def test_broken_toml_names_the_line() -> None:
    """A file that is not TOML is an error that says where."""
    assert "line 2" in str(refused("[model]\nbundle = \n"))


def test_two_cameras_may_not_share_frames() -> None:
    """Deployments with one name, one folder, or one folder inside another are refused."""
    second = DEPLOYMENT.replace('"garden"', '"pond"')
    assert "folder" in str(refused(DEPLOYMENT + second))
    assert "name" in str(refused(DEPLOYMENT + DEPLOYMENT.replace("snapshots", "other")))
    assert "inside" in str(refused(DEPLOYMENT + second.replace("snapshots", "snapshots/pond")))


def test_a_missing_config_says_how_to_make_one(tmp_path: Path) -> None:
    """A config that is not there is an error whose hint is `feeder init`."""
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "config.toml")
    assert "feeder init" in caught.value.hint


def test_thresholds_left_out_are_the_models_own() -> None:
    """Configured thresholds replace the bundle's one by one."""
    settings = config.parse(DEPLOYMENT + "[thresholds]\nlabel = 0.7", Path("/c/config.toml"))
    assert settings.thresholds.over(Thresholds(bird=0.6)) == Thresholds(label=0.7, bird=0.6)


def test_choosing_a_model_keeps_the_rest_of_the_file(tmp_path: Path) -> None:
    """Setting the bundle changes one line and no comment."""
    path = tmp_path / "config.toml"
    path.write_text(config.fresh(), encoding="utf-8")
    config.set_bundle(path, "clip")
    changed = path.read_text(encoding="utf-8")
    assert changed == config.fresh().replace('bundle = "starter"', 'bundle = "clip"')
