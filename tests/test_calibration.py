"""Temperature and thresholds: found where they are known, and worth something on other frames."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeder import calibration, metrics
from feeder.bundle import Thresholds
from feeder.calibration import INEXACT, KINDS, UNLISTED, Examples, bursts, fit
from feeder.domain import Kind, Label, Vectors
from feeder.errors import FeederError
from feeder.verdicts import Choices

BIRDS, BLANKS = 6, 2
CHOICES = Choices(
    (
        *(Label(f"bird {number}", Kind.BIRD) for number in range(BIRDS)),
        *(Label(f"blank {number}", Kind.BLANK) for number in range(BLANKS)),
    )
)
EVEN = Thresholds(label=0.5, bird=0.5, blank=0.5)


def softmax(logits: Vectors) -> Vectors:
    """Each row's shares."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def examples(
    seed: int, count: int, temperature: float, *, burst: int = 5, spread: float = 3.0
) -> Examples:
    """Frames whose labels are drawn from the softmax at `temperature` of what a model says."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (count, BIRDS + BLANKS)).astype(np.float32)
    shares = softmax(logits / temperature).astype(np.float64).cumsum(axis=1)
    truth = (rng.random((count, 1)) * shares[:, -1:] > shares).sum(axis=1)
    blank = truth >= BIRDS
    return Examples(
        lambda at: softmax(logits / np.float32(at)),
        CHOICES,
        np.where(blank, BIRDS, truth).astype(np.int64),
        np.where(blank, KINDS.index(Kind.BLANK), KINDS.index(Kind.BIRD)).astype(np.int64),
        np.arange(count) // burst,
    )


@settings(max_examples=15, deadline=None)
@given(st.floats(0.4, 4.0), st.integers(0, 1000))
def test_a_known_temperature_is_found(temperature: float, seed: int) -> None:
    """Labels drawn at a temperature give that temperature back, within sampling error."""
    found = calibration.fit_temperature(examples(seed, 3000, temperature, spread=3 * temperature))
    assert found == pytest.approx(temperature, rel=0.15)


def test_it_is_where_the_likelihood_peaks() -> None:
    """No temperature nearby explains the labels better than the one that was fitted."""
    some = examples(1, 500, 2.0)

    def nll(temperature: float) -> float:
        answers = calibration._answers(some, temperature)
        return float(calibration._nll(answers, some.truth).mean())

    found = calibration.fit_temperature(some)
    assert nll(found) <= min(nll(found * 1.01), nll(found / 1.01))


@pytest.mark.parametrize("temperature", [0.5, 2.5])
def test_the_error_falls_on_frames_held_out(temperature: float) -> None:
    """A model that is too sure, or not sure enough, errs less about itself once calibrated."""
    found = fit(examples(2, 1500, temperature), EVEN, 0.9)
    assert found.after.error < found.before.error / 2
    assert found.after.nll < found.before.nll
    assert found.after.error < 2 * found.after.floor
    assert found.after.accuracy.value == pytest.approx(found.before.accuracy.value, abs=0.01)
    assert (found.frames, found.bursts) == (1500, 300)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.7, 0.95), st.integers(0, 1000))
def test_what_is_said_is_right_as_often_as_asked_for(precision: float, seed: int) -> None:
    """On other frames than it was chosen on, the share of right names is the target or above."""
    found = fit(examples(seed, 2000, 2.0, spread=6.0), EVEN, precision)
    others = examples(seed + 1, 4000, 2.0, spread=6.0)
    said = calibration._figures(
        calibration._outcomes(others, found.temperature, found.thresholds)
    ).right
    # Half as many were there to choose it on as there are to check it.
    error = (precision * (1 - precision) * (2 / said.total + 1 / said.total)) ** 0.5
    assert said.total > 500
    assert (said.value or 0) >= precision - 3 * error


def test_a_higher_target_names_fewer() -> None:
    """Thresholds rise and coverage falls with the precision asked for, and none is below 0.5."""
    some = examples(3, 2000, 2.0, spread=6.0)
    fits = [fit(some, EVEN, precision) for precision in (0.6, 0.8, 0.95)]
    labels = [found.thresholds.label for found in fits]
    named = [found.after.named.count for found in fits]
    assert labels == sorted(labels)
    assert named == sorted(named, reverse=True)
    assert labels[0] == 0.5


def test_a_fixed_threshold_stays() -> None:
    """What the settings say is not chosen anew."""
    base = Thresholds(label=0.123, bird=0.5, blank=0.5)
    found = fit(examples(3, 500, 2.0), base, 0.9, fixed={"label"})
    assert found.thresholds.label == 0.123
    assert not any("label" in note for note in found.notes)


def test_a_calibrated_model_stays_as_it_is() -> None:
    """Where no temperature surely helps on frames held out, it is 1, and that is said."""
    some = examples(5, 200, 1.0)
    found = fit(some, EVEN, 0.9)
    assert found.temperature == 1.0
    assert "no temperature surely helps" in found.notes[0]
    assert found.after.nll == found.before.nll


def test_what_cannot_be_chosen_stays() -> None:
    """A target beyond reach, or too few blanks, leaves a threshold as it was, and says so."""
    rng = np.random.default_rng(0)
    some = examples(6, 300, 1.0)
    lost = Examples(
        some.probabilities,
        CHOICES,
        rng.integers(0, BIRDS, 300),
        np.full(300, KINDS.index(Kind.BIRD)),
        some.burst,
    )
    found = fit(lost, EVEN, 0.9)
    assert found.thresholds == EVEN
    said = " ".join(found.notes)
    assert "`blank` stays 0.5: 0 blanks" in said
    assert "`bird` stays 0.5: 0 frames without a bird" in said


def test_too_few_frames_are_refused() -> None:
    """The refusal says how many there are and how many it takes."""
    with pytest.raises(FeederError, match=r"99 frames whose label is known .* 100 are needed"):
        fit(examples(1, 99, 1.0), EVEN, 0.9)
    with pytest.raises(FeederError, match=r"of 4 bursts.* 10 are needed"):
        fit(examples(1, 200, 1.0, burst=50), EVEN, 0.9)


def test_a_burst_is_never_in_both_halves() -> None:
    """Every burst lies in one fold, and the folds are about equally large."""
    burst = np.repeat(np.arange(40), np.random.default_rng(0).integers(1, 30, 40))
    fold = calibration._folds(burst)
    assert all(len(np.unique(fold[burst == number])) == 1 for number in range(40))
    sizes = np.bincount(fold, minlength=calibration.FOLDS)
    assert sizes.min() > 0.8 * sizes.mean()


def test_what_was_chosen_never_saw_its_burst() -> None:
    """What is held out is judged by what was chosen on other bursts alone."""
    some = examples(1, 200, 1.0)
    seen: list[set[int]] = []

    def remember(others: Examples) -> tuple[float, Thresholds]:
        seen.append(set(others.burst.tolist()))
        return 1.0, EVEN

    found = calibration._held_out(some, remember)
    assert len(found.confidence) == 200
    left_out = [set(some.burst.tolist()) - one for one in seen]
    assert sum(map(len, left_out)) == len(set().union(*left_out)) == 40


def test_frames_near_in_time_are_a_burst() -> None:
    """A gap begins a new one, whatever the order they come in."""
    start = datetime(2026, 5, 1, tzinfo=UTC)
    minutes = (0, 100, 10, 29, 130, 59)
    times = [start + timedelta(minutes=minute) for minute in minutes]
    assert bursts(times).tolist() == [0, 2, 0, 0, 3, 1]
    assert bursts([]).tolist() == []


def test_what_is_known_by_kind_alone_counts_for_kinds() -> None:
    """A frame of some bird says nothing of names; a species not listed makes a name wrong."""
    some = examples(1, 300, 1.0)
    truth = some.truth.copy()
    birds = np.flatnonzero(some.are(Kind.BIRD))
    truth[birds[:50]] = INEXACT
    truth[birds[50:80]] = UNLISTED
    other = Examples(some.probabilities, CHOICES, truth, some.kind, some.burst)
    found = calibration._figures(calibration._outcomes(other, 1.0, EVEN))
    assert found.accuracy.total == 250
    sure = Examples(some.probabilities, CHOICES, some.truth, some.kind, some.burst)
    rest = sure.take(np.flatnonzero(truth != INEXACT))
    assert (
        found.right.count < calibration._figures(calibration._outcomes(rest, 1.0, EVEN)).right.count
    )


def test_blanks_are_one_answer() -> None:
    """Two labels for nothing being there are one: being unsure between them is no doubt."""
    logits = np.log(np.array([[0.1] + [0.0] * 5 + [0.45, 0.45]], np.float32) + 1e-9)
    one = Examples(
        lambda at: softmax(logits / np.float32(at)),
        CHOICES,
        np.array([BIRDS]),
        np.array([KINDS.index(Kind.BLANK)]),
        np.array([0]),
    )
    found = calibration._outcomes(one, 1.0, EVEN)
    assert found.confidence[0] == pytest.approx(0.9, abs=1e-4)
    assert found.is_right[0]


def test_a_burst_is_one_proof() -> None:
    """A gain that ten frames of one burst show is one gain, and no more than chance."""
    before, after = np.ones(100), np.full(100, 0.9)
    after[50:] = 1.05
    each, ten = np.arange(100), np.arange(100) // 50
    assert calibration._is_surely_less(after, before, each)
    assert not calibration._is_surely_less(after, before, ten)
    assert not calibration._is_surely_less(before, before, each)


def test_the_floor_is_what_a_perfect_model_shows() -> None:
    """Answers right as often as they say have, on few frames, an error above none."""
    confidence = np.random.default_rng(0).random(200)
    floor = calibration._floor(confidence)
    draws = np.random.default_rng(1).random((50, 200)) < confidence
    errors = [metrics.calibration_error(metrics.reliability(confidence, right)) for right in draws]
    assert floor == pytest.approx(np.mean([error or 0 for error in errors]), rel=0.1)
