"""Which trial comes next: the same with the same seed, and wherever the search was killed."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import pytest
from keras_tuner import HyperParameters
from keras_tuner.engine.trial import TrialStatus

from pipeline.utils.errors import RequestError
from tuning import oracles

EPOCHS, TRIALS = 9, 14


def space() -> HyperParameters:
    hp = HyperParameters()
    hp.Choice("units", [8, 16, 32])
    hp.Float("rate", 1e-4, 1e-1, sampling="log")
    hp.Choice("kind", ["plain", "wide"])
    with hp.conditional_scope("kind", ["wide"]):
        hp.Int("width", 1, 4)
    return hp


def opened(algorithm: str, folder: Path, seed: int = 0) -> oracles.Oracle:
    oracle = oracles.make_oracle(algorithm, "val_loss", space(), seed, TRIALS, EPOCHS)
    folder.mkdir(parents=True, exist_ok=True)
    oracle.open(folder)
    return oracle


def drive(oracle: oracles.Oracle, count: float = math.inf, failing: tuple[str, ...] = ()) -> None:
    """Do `count` trials, or all there are."""
    while count > 0 and (trial := oracle.create_trial("it")).status != TrialStatus.STOPPED:
        values, count = trial.hyperparameters.values, count - 1
        if trial.trial_id in failing:
            trial.status = TrialStatus.FAILED
        else:
            score = values["rate"] + 1 / values["units"] + 1 / values.get("tuner/epochs", 1)
            oracle.update_trial(trial.trial_id, {"val_loss": score})
            trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)


def values_of(oracle: oracles.Oracle) -> list[dict]:
    return [oracle.trials[trial_id].hyperparameters.values for trial_id in oracle.start_order]


@pytest.mark.parametrize("algorithm", ["grid", "random", "hyperband", pytest.param("bayesian", marks=pytest.mark.slow)])
def test_the_same_trials_with_the_same_seed_and_after_a_kill(algorithm: str, tmp_path: Path) -> None:
    whole = opened(algorithm, tmp_path / "whole")
    drive(whole)
    drive(opened(algorithm, tmp_path / "killed"), 4)
    opened(algorithm, tmp_path / "killed").create_trial("it")  # drawn, and not done
    again = opened(algorithm, tmp_path / "killed")
    drive(again)
    assert values_of(again) == values_of(whole)
    assert len(whole.trials) == TRIALS
    if algorithm != "grid":
        other = opened(algorithm, tmp_path / "other", seed=1)
        drive(other)
        assert values_of(other) != values_of(whole)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("algorithm", ["random", pytest.param("bayesian", marks=pytest.mark.slow)])
def test_all_settings_are_tried_where_there_are_as_many_as_trials(algorithm: str, seed: int, tmp_path: Path) -> None:
    few = HyperParameters()
    for name in ("a", "b", "c", "d"):
        few.Choice(name, [0.25, 0.75])
    oracle = oracles.make_oracle(algorithm, "val_loss", few, seed, 20, EPOCHS)
    oracle.open(tmp_path)
    while (trial := oracle.create_trial("it")).status != TrialStatus.STOPPED:
        oracle.update_trial(trial.trial_id, {"val_loss": trial.hyperparameters.values["a"]})
        trial.status = TrialStatus.COMPLETED
        oracle.end_trial(trial)
    assert len({tuple(values.values()) for values in values_of(oracle)}) == len(oracle.trials) == 16


def test_a_trial_that_was_drawn_but_not_noted_is_drawn_again(tmp_path: Path) -> None:
    oracle = opened("random", tmp_path)
    drive(oracle, 3)
    noted = (tmp_path / "oracle.json").read_text()
    lost = oracle.create_trial("it").hyperparameters.values
    (tmp_path / "oracle.json").write_text(noted)  # as if killed between the trial's file and the oracle's
    assert opened("random", tmp_path).create_trial("it").hyperparameters.values == lost


def test_a_grid_has_every_combination_once_and_no_setting_that_is_off(tmp_path: Path) -> None:
    hp = HyperParameters()
    hp.Choice("a", [3, 1, 2], default=2)
    hp.Choice("b", ["on", "off"])
    with hp.conditional_scope("b", ["on"]):
        hp.Choice("c", [0.5, 0.0])
    found = list(oracles.combinations(hp, ["a", "b", "c"], {}))
    assert found[:3] == [{"a": 3, "b": "on", "c": 0.5}, {"a": 3, "b": "on", "c": 0.0}, {"a": 3, "b": "off"}]
    assert len(found) == 9
    assert next(iter(oracles.combinations(hp, ["c"], {"a": 1}))) == {"a": 1, "b": "on", "c": 0.5}


@pytest.mark.parametrize("epochs", [1, 3, 9, 27])
@pytest.mark.parametrize("trials", [4, 8, 23, 30, 100, 20_000])
def test_brackets_have_as_many_trials_as_were_asked_for(trials: int, epochs: int) -> None:
    sizes = oracles.bracket_sizes(trials, epochs)
    assert sum(map(sum, sizes)) == trials
    assert all(later <= earlier for rounds in sizes for earlier, later in itertools.pairwise(rounds))
    work, anew = (oracles.bracket_epochs(sizes, epochs, anew) for anew in (False, True))
    assert sum(count for count, _ in work) == sum(count for count, _ in anew) == trials
    assert max(of_each for _, of_each in anew) == epochs


def test_too_few_trials_for_a_bracket() -> None:
    with pytest.raises(RequestError, match="2 trials are too few for Hyperband, which needs 3"):
        oracles.bracket_sizes(2, 9)


def test_hyperband_goes_on_with_what_it_has_where_no_settings_are_left(tmp_path: Path) -> None:
    few = HyperParameters()
    few.Choice("units", [8, 16, 32])
    few.Choice("rate", [0.1, 0.2])
    oracle = oracles.make_oracle("hyperband", "val_loss", few, 0, 30, 27)
    oracle.open(tmp_path)
    drive(oracle)
    values = values_of(oracle)
    assert len({(one["units"], one["rate"]) for one in values}) == 6
    assert max(one["tuner/epochs"] for one in values) == 27


@pytest.mark.parametrize("algorithm", ["random", "bayesian"])
def test_a_search_that_ends_for_want_of_settings_says_so(
    algorithm: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = HyperParameters()
    few.Choice("units", [8, 16])
    few.Float("rate", 0.1, 0.2, step=0.1)
    oracle = oracles.make_oracle(algorithm, "val_loss", few, 0, 30, 1)
    oracle.open(tmp_path)
    drive(oracle)
    assert len(oracle.trials) == 4
    assert "no other settings were found to try: there are 4 trials" in caplog.text


def test_settings_are_counted_where_there_are_no_ranges() -> None:
    few = HyperParameters()
    few.Choice("kind", ["plain", "wide"])
    few.Choice("width", [1, 2, 3], parent_name="kind", parent_values=["wide"])
    assert (oracles.choices(few, 30), oracles.choices(few, 3)) == (4, 3)
    few.Float("rate", 0.1, 0.2)
    assert oracles.choices(few, 30) is None


def test_two_workers_train_hyperbands_best_to_the_end_as_one_does(tmp_path: Path) -> None:
    trained = {}
    for workers in (1, 2):
        oracle = oracles.make_oracle("hyperband", "val_loss", space(), 0, 4, EPOCHS)  # one bracket: 2, 1, 1
        (tmp_path / str(workers)).mkdir()
        oracle.open(tmp_path / str(workers))
        together(oracle, workers)
        trained[workers] = sorted(one["tuner/epochs"] for one in values_of(oracle))
    assert trained[2] == trained[1] == [1, 1, 3, 9]


def together(oracle: oracles.Oracle, workers: int) -> None:
    """Workers that all ask before the first of them has done anything."""
    stopped = False
    while not stopped:
        asked = [oracle.create_trial(f"it {number}") for number in range(workers)]
        stopped = all(trial.status == TrialStatus.STOPPED for trial in asked)
        for trial in asked:
            if trial.status == TrialStatus.RUNNING:
                oracle.update_trial(trial.trial_id, {"val_loss": trial.hyperparameters.values["rate"]})
                trial.status = TrialStatus.COMPLETED
                oracle.end_trial(trial)


def test_hyperband_goes_to_its_last_round_beside_failed_trials(tmp_path: Path) -> None:
    oracle = opened("hyperband", tmp_path)
    drive(oracle, failing=("0000", "0003"))
    values = values_of(oracle)
    assert len(values) == TRIALS
    last = [one for one in values if one["tuner/epochs"] == EPOCHS and one["tuner/initial_epoch"]]
    assert last
    assert not {one["tuner/trial_id"] for one in last} & {"0000", "0003"}
