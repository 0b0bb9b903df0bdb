"""Training: the stages of an experiment, one after the other, on training and validation rows only."""

from __future__ import annotations

import logging
import math
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from pipeline import datasets, targets
from pipeline.config import MEAN, Augment, Experiment, Stage, Target
from pipeline.data import inputs, manifests
from pipeline.training import checkpoints, features, machine, parallel, runs
from pipeline.training.checkpoints import Progress, Row
from pipeline.training.loading import settle
from pipeline.training.network import build_network, hand_over, leaves, place, places, reseed
from pipeline.training.objective import Judged, Trainer, judge
from pipeline.training.parallel import Devices
from pipeline.training.runs import Run
from pipeline.training.schedules import make_optimizer, plateau_rate
from pipeline.training.tracking import Tracker
from pipeline.utils import files, interrupts, metrics, sharing
from pipeline.utils.errors import ChangedError, RequestError, WorkError
from pipeline.utils.progress import EpochBar, duration

log = logging.getLogger(__name__)

STEPS_AT_ONCE = 16
WAITING = 0.1  # share of their time that steps may wait for their batches before a warning says so
WORTH_SAYING = 2.0  # seconds of waiting, below which nobody would mind
_CURES = {  # by where crops are kept
    "memory": "augment less, or use a machine with more cores for each accelerator",
    "disk": "keep crops in memory (--cache.memory, a smaller --image-size), or augment less",
    "features": "take a larger --batch-size",
    "nowhere": "they are decoded in every epoch; keep them (--cache.memory, --cache.disk, a smaller --image-size)",
}
TRAIN_OVER_FORWARD = 4  # a training step's time over a prediction's; from 3.5 to 4.5 were seen on CPUs


def train(
    experiment: Experiment,
    runs_folder: str | Path = runs.RUNS,
    resume: Run | None = None,
    tracker: Tracker | None = None,
    devices: str = "one",
) -> Run:
    """Fit an experiment and answer its run: experiment.json, history.csv, model.keras, environment.json, rejected.csv.

    Test rows are not read. resume: go on with this run, which was stopped, or with more epochs in its last stage; it
    ends with the same weights as if it had never been stopped. tracker: is told when the run begins, and every epoch.
    devices: `one`, or `all` (`parallel.use`), which share each batch and write one run.

    Raises RequestError for an experiment that cannot be run as it stands (data that are not there, weights that do not
    fit, a target without labels), WorkError when too many pictures cannot be read or the loss is no longer a number.
    """
    used = parallel.use(devices)  # first of all: the processes meet before anything is computed
    experiment = settle(experiment)
    with used.at_work(), ExitStack() as holds:
        machine.set_up(experiment)
        used.check(experiment)
        _hold(resume, used, holds)
        return _train(experiment, runs_folder, resume, tracker if tracker and used.leads else Tracker(), used, holds)


def _train(
    experiment: Experiment,
    runs_folder: str | Path,
    resume: Run | None,
    tracker: Tracker,
    devices: Devices,
    holds: ExitStack,
) -> Run:
    tables = {s.name: _labelled(s, experiment.targets, s is experiment.stages[-1]) for s in experiment.stages}
    _check_learnable(experiment, tables)
    experiment = _balanced(experiment, tables[experiment.stages[-1].name])
    if not (tables[experiment.stages[-1].name]["split"] == "test").any():
        log.warning("there are no test rows: the run cannot be judged on rows that chose nothing")
    learned = examples(experiment, tables)
    devices.agree("the data", learned)
    progress = checkpoints.read(resume) if resume else Progress()
    run, network = resume, None
    if resume:
        _check_done_stages(experiment, resume, progress)
        began_with = {stage: notes["examples"] for stage, notes in progress.notes.items() if "examples" in notes}
        check_unchanged(resume.path, began_with, learned)
    if resume and devices.leads:
        runs.reopen(resume, experiment)
        if progress.history:
            _write_history(resume, progress)  # it may have been killed between the checkpoint and this
        tracker.begin(resume)
    try:
        for number in range(progress.stage, len(experiment.stages)):
            stage = experiment.stages[number]
            progress.begin(number)
            at_work = StageRun(experiment, stage, tables[stage.name], network, progress, devices, learned[stage.name])
            if run is None:  # not before pictures and weights were found to be there
                run = _begun(experiment, runs_folder, tracker, devices, holds)
            if devices.leads:
                runs.add_rejected(run, at_work.rejected)
            with interrupts.deferred() as heed:
                for row in at_work.epochs(heed):
                    if devices.leads:
                        _write_epoch(run, progress, tracker, row)
            network = at_work.network
            del at_work  # and its pictures, before the next stage's are read
        if devices.leads:
            _write_model(run, experiment, network, progress, devices)
    except (KeyboardInterrupt, OSError):  # the latter of a full disk, for one
        if run:
            log.info(f"stopped; this run goes on by: python -m pipeline train --resume {shlex.quote(str(run.path))}")
        raise
    return run


def _check_done_stages(experiment: Experiment, resume: Run, progress: Progress) -> None:
    """A stage that others followed does not go on: they started from its weights."""
    for before, now in zip(resume.experiment.stages[: progress.stage], experiment.stages, strict=False):
        if now.epochs != before.epochs:
            at_work = experiment.stages[progress.stage].name
            raise RequestError(f"stage {now.name} is done; more epochs can be given to {at_work}, which followed it")


def _hold(run: Run | None, devices: Devices, holds: ExitStack) -> None:
    """Keep other commands from a run. Raises RequestError, in every process of this one, where another trains it."""
    refused = None
    if run and devices.leads:
        try:
            holds.enter_context(runs.held(run))
        except RequestError as error:
            refused = str(error)
    if reason := devices.first_says(refused):
        raise RequestError(reason)


def examples(experiment: Experiment, tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """By stage, a hash of what it learns from (`manifests.examples_hash`). tables: its rows."""
    labels = [target.name for target in experiment.targets]
    return {
        stage.name: sharing.shared(
            f"examples of {stage.data.name}",
            (stage.data, labels),
            lambda table=tables[stage.name]: manifests.examples_hash(table, labels),
        )
        for stage in experiment.stages
    }


def check_unchanged(what: Path, began_with: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raises ChangedError where a stage would go on with other examples than it began with: some that are to judge may
    have been learned from."""
    for stage, before in began_with.items():
        if before != now.get(stage, before):
            raise ChangedError(
                f"{what} cannot go on: the data of stage {stage} have changed since it began (other pictures, labels "
                "or splits); put them back, or remove that folder to begin anew"
            )


def _begun(
    experiment: Experiment, runs_folder: str | Path, tracker: Tracker, devices: Devices, holds: ExitStack
) -> Run:
    created = str(runs.create(experiment, runs_folder).path) if devices.leads else None
    run = Run(Path(devices.first_says(created)))
    _hold(run, devices, holds)
    tracker.begin(run)
    return run


def _write_history(run: Run, progress: Progress) -> None:
    files.write_csv(run.path / "history.csv", pd.DataFrame(progress.history))
    files.write_text(run.path / "history.txt", "\n".join(map(_line, progress.history)) + "\n")


def _write_epoch(run: Run, progress: Progress, tracker: Tracker, row: Row) -> None:
    checkpoints.write(run, progress)
    _write_history(run, progress)
    tracker.epoch(len(progress.history), row)


def _write_model(run: Run, experiment: Experiment, network: keras.Model, progress: Progress, devices: Devices) -> None:
    with files.written(run.path / "model.keras") as temporary:
        network.save(temporary)
        runs.forget_results(run)
    used = {"devices": devices.count, "processes": devices.processes, "stages": progress.notes}
    files.write_json(run.path / "environment.json", machine.environment(experiment) | used)


class StageRun:
    """One stage at work: its crops, its network, and `epochs()`, which trains on from where `progress` stands."""

    def __init__(
        self,
        experiment: Experiment,
        stage: Stage,
        table: pd.DataFrame,
        before: keras.Model | None,
        progress: Progress,
        devices: Devices,
        learned: str,
    ) -> None:
        self.experiment, self.stage, self.progress, self.devices = experiment, stage, progress, devices
        self.manifest, self.learned = manifests.fingerprint(table), learned
        self.train = self._crops(table[table["split"] == "train"], "train")
        self.val = self._crops(_validating(table, experiment.targets), "val")
        devices.agree("the pictures that can be read", [manifests.fingerprint(c.rows) for c in (self.train, self.val)])
        encoded = {t.name: targets.of(t).encode(self.train.rows[t.name]) for t in experiment.targets}
        self.labels = {name: labels for name, (labels, _) in encoded.items()}
        self.known = {name: known for name, (_, known) in encoded.items()}
        self.network = self._network(before)
        progress.frozen, progress.places = _frozen(self.network), places(self.network)
        self.learner, self.augment, self.shown = self.network, stage.augment, [self.train]
        began = time.perf_counter()
        self._run_a_frozen_backbone_once()
        self.trunk_seconds = 0.0 if self.learner is self.network else time.perf_counter() - began
        # Seconds of epochs that did not compile, and how long their steps waited.
        self.fed, self.waited, self.warned = 0.0, 0.0, False
        devices.agree("what is trained", self.learner is self.network)
        self.batch_size = min(stage.batch_size, len(self.train))
        devices.check_batch(stage.name, self.batch_size)
        self.steps = len(self.train) // self.batch_size
        self.trainer = Trainer(self.learner, experiment.targets, self.augment.fill)
        optimizer = make_optimizer(stage.optimizer, self.steps * stage.epochs, self.steps)
        self.trainer.compile(optimizer, jit_compile=machine.uses_xla(experiment), steps_per_execution=self._at_once())
        # A step that makes its variables would be traced twice. With float16 a loss scale is wrapped about it.
        self.trainer.optimizer.build(self.trainer.trainable_variables)
        if devices.count == 1:
            # There is nothing to add up, and of a step that adds up TensorFlow keeps the graph until the process ends.
            optimizer._all_reduce_sum_gradients = list

    @property
    def rejected(self) -> pd.DataFrame:
        """path and reason of the pictures that could not be read."""
        return pd.concat([self.train.rejected, self.val.rejected])

    def epochs(self, heed: Callable[[], None]) -> Iterator[Row]:
        """Train, answering a row of history.csv an epoch; at the end the network holds the kept epoch's weights.
        `heed` is called before each batch: it may raise."""
        self._announce()
        progress, patience, keep = self.progress, self.stage.early_stopping, self._keep()
        if progress.epoch:
            self._restore()
        if patience and progress.waited >= patience and progress.epoch < self.stage.epochs:
            log.warning(
                f"stage {self.stage.name} was stopped early after epoch {progress.epoch} ({patience} without a better "
                "one) and does not go on"
            )
        while progress.epoch < self.stage.epochs and not (patience and progress.waited >= patience):
            row = self._epoch(progress.epoch, heed)
            better = progress.best is None or metrics.is_better(row, progress.best, keep)
            progress.epoch += 1
            progress.history.append(row)
            progress.weights = self.network.get_weights()
            progress.optimizer = [keras.ops.convert_to_numpy(v) for v in self.trainer.optimizer.variables]
            progress.waited = 0 if better else progress.waited + 1
            if better:
                progress.best, progress.kept = row, progress.weights
            yield row
        self.network.set_weights(progress.kept)
        log.info(
            f"stage {self.stage.name}: kept epoch {progress.best['epoch']}, {_shown(progress.best, ['loss', keep])}"
        )

    def _keep(self) -> str:
        """By what the epoch is chosen: the last, where validation cannot tell."""
        keep = self.stage.keep if len(self.val) else "last"
        for kind in map(targets.of, self.experiment.targets):
            if keep.startswith(f"val_{kind.name}_") and not kind.encode(self.val.rows[kind.name])[1].any():
                log.warning(f"no validation row has a known {kind.name}: there is no {keep}, the last epoch is kept")
                return "last"
        return keep

    def _restore(self) -> None:
        """The optimizer as it was after the last epoch that was done; the network is since it was built."""
        for variable, value in zip(self.trainer.optimizer.variables, self.progress.optimizer, strict=True):
            variable.assign(value)
        log.info(f"stage {self.stage.name}: resumed after epoch {self.progress.epoch}")

    def _crops(self, rows: pd.DataFrame, split: str) -> inputs.Crops:
        size, data = self.experiment.model.image_size, self.stage.data
        return inputs.make_crops(
            rows.reset_index(drop=True), size, data.margin, self.experiment.cache, split, data.centre
        )

    def _network(self, before: keras.Model | None) -> keras.Model:
        """This stage's network; weights come from the stage before, where there is one."""
        labels = {name: values[self.known[name] > 0, 0] for name, values in self.labels.items()}
        fresh = before is None and not self.progress.epoch
        model = self.experiment.model if fresh else replace(self.experiment.model, weights="none")
        statistics = inputs.channel_statistics(self.train) if model.channel_statistics else None
        network = build_network(model, self.experiment.targets, labels, self.stage.train, statistics)
        if before is not None:
            for name in hand_over(before, network):
                log.info(f"stage {self.stage.name}: layer {name} starts new")
        if self.progress.epoch:
            network.set_weights(self.progress.weights)
            place(network, self.progress.places)
        return network

    def _run_a_frozen_backbone_once(self) -> None:
        """What a frozen backbone answers takes the place of the pictures, where they are the same in every epoch or the
        stage asks for a number of views; `learner` is then what of the network follows the backbone, `shown` its
        pictures in one epoch after another."""
        stage, model, cache = self.stage, self.experiment.model, self.experiment.cache
        frozen = not self.network.get_layer(model.name).trainable_weights
        if stage.views and not frozen:
            raise RequestError(f"stage {stage.name}: views are for a frozen backbone, but it trains {stage.train}")
        several = len({target.view for target in self.experiment.targets}) > 1
        if stage.views and (several or stage.augment_val):
            why = "validation pictures are augmented" if stage.augment_val else "one target sees colour, another grey"
            raise RequestError(f"stage {stage.name}: there are no views to keep where {why}")
        if not frozen or several or stage.augment_val or (self.augment != Augment() and not stage.views):
            return
        backbone, learner = features.split(self.network, model.name)
        tables = max(stage.views, 1) + 1  # what there is room for must do for all of them
        val = features.answered(backbone, self.val, cache, "val", tables=tables)
        shown = [
            features.answered(backbone, self.train, cache, "train", stage.augment, self.experiment.seed, view, tables)
            for view in range(max(stage.views, 1))
        ]
        if val is None or None in shown:
            log.info("  no room to keep what the backbone answers (cache memory and disk): it runs in every epoch")
            return
        self.learner, self.augment, self.shown, self.val = learner, Augment(), shown, val

    def _at_once(self) -> int:
        """Steps that Keras executes without a word to Python, which takes longer than a step on kept features does."""
        alone = self.devices.count == 1 and keras.backend.backend() == "tensorflow"
        return min(STEPS_AT_ONCE, self.steps) if alone and self.learner is not self.network else 1

    def _epoch(self, epoch: int, heed: Callable[[], None]) -> Row:
        began = time.perf_counter()
        reseed(self.network, (self.experiment.seed, epoch))
        shown = self.shown[epoch % len(self.shown)]
        stream = inputs.training(
            shown,
            self.labels,
            self.known,
            self.batch_size,
            self.augment,
            self.experiment.seed,
            epoch,
            augment_on=machine.augments_on(self.experiment),
            part=self.devices.part,
        )
        if self.stage.optimizer.schedule.name == "plateau":
            self.trainer.optimizer.learning_rate = plateau_rate(self.stage.optimizer, self._followed())
        what, compiles = f"{self.stage.name} {epoch + 1}/{self.stage.epochs}", self.trainer.train_function is None
        with EpochBar(what, self.steps, self.batch_size, compiles) as bar:
            stream = inputs.watched(stream, bar.arrived)
            callback = keras.callbacks.LambdaCallback(
                on_train_batch_begin=lambda batch, logs: heed(), on_train_batch_end=bar.step
            )
            callback.async_safe = True  # the next step need not wait until the bar has been drawn
            fitting = time.perf_counter()
            with self.devices.sharing(leaves(self.network)):
                logs = self.trainer.fit(stream, shuffle=False, verbose=0, callbacks=[callback]).history
            if not compiles or self.stage.epochs == 1:
                self.fed += time.perf_counter() - fitting
                self.waited += bar.waited
        row = {"stage": self.stage.name, "epoch": epoch + 1}
        row |= {"learning_rate": float(self.trainer.optimizer.learning_rate)}
        row |= {name: values[-1] for name, values in logs.items()}
        row["loss"] -= row["penalty"]
        if not math.isfinite(row["loss"]):
            raise WorkError(
                f"stage {self.stage.name}, epoch {epoch + 1}: the loss is {row['loss']}; a lower learning "
                f"rate than {self.stage.optimizer.learning_rate:g} may help"
            )
        if len(self.val):
            row |= _val_columns(judge(self.learner, self.experiment.targets, self.val, self._val_stream(epoch)))
        row = self.devices.first_says(row)  # lest a last bit make two processes keep another epoch
        self._note(time.perf_counter() - began, bar.waited)
        self._tell(row)
        return row

    def _followed(self) -> list[float]:
        """The losses of the stage's epochs so far, of validation if there is one."""
        column = "val_loss" if len(self.val) else "loss"
        return [row[column] for row in self.progress.history if row["stage"] == self.stage.name]

    def _val_stream(self, epoch: int) -> Any:
        """Validation pictures that are augmented, if the stage has them so."""
        how = self.stage.augment if self.stage.augment_val else Augment()
        return inputs.judging(self.val, how=how, seed=self.experiment.seed, epoch=epoch)

    def _note(self, seconds: float, waited: float) -> None:
        """What environment.json says of this stage: whole epochs' time, validation included, how much of it steps
        waited for their batches, and the time that a frozen backbone took before them."""
        before = self.progress.notes.get(self.stage.name, {})
        backbone, self.trunk_seconds = before.get("trunk_seconds", 0.0) + self.trunk_seconds, 0.0
        seconds += before.get("seconds", 0.0)
        waited += before.get("waited_seconds", 0.0)
        pictures = (self.progress.epoch + 1) * self.steps * self.batch_size
        self.progress.notes[self.stage.name] = {
            "manifest": self.manifest,
            "examples": self.learned,
            "trainable_parameters": _count(self.network.trainable_weights),
            "trainable_layers": [layer.name for layer in leaves(self.network) if layer.trainable_weights],
            "trunk_views_kept": 0 if self.learner is self.network else len(self.shown),
            "trunk_seconds": round(backbone, 2),
            "seconds": round(seconds, 2),
            "waited_seconds": round(waited, 2),
            "images_per_second": round(pictures / seconds, 1),
        }

    def _announce(self) -> None:
        stage, model, optimizer = self.stage, self.experiment.model, self.stage.optimizer
        size = f"{model.image_size}×{model.image_size}"
        rejected = f", {len(self.rejected)} pictures rejected" if len(self.rejected) else ""
        log.info(f"stage {stage.name}: {model.name}, {size}, weights {model.weights}, on {stage.data.name}")
        for kind in map(targets.of, self.experiment.targets):
            classes = f" ({', '.join(kind.classes)})" if kind.classes else ""
            known = int(self.known[kind.name].sum())
            log.info(f"  learns {kind.name}, {kind.target.kind}{classes}: {known} labels")
        if not len(self.val):
            log.warning(f"stage {stage.name}: no validation rows, so the last epoch is kept")
        log.info(
            f"  {len(self.train)} training and {len(self.val)} validation rows{rejected}, crops in {self.train.kept}"
        )
        if self.learner is not self.network:
            log.info(f"  the frozen backbone is run once for each picture; its answers are kept in {features.folder()}")
        trainable, all_of_them = _count(self.network.trainable_weights), _count(self.network.weights)
        log.info(f"  trains {stage.train}: {trainable:,} of {all_of_them:,} parameters")
        log.info(
            f"  {stage.epochs} epochs of {self.steps} steps of {self.batch_size} pictures, {optimizer.name}, "
            f"rate {optimizer.learning_rate:g} {optimizer.schedule.name}"
        )
        log.info(f"  about {duration(self._estimate())} on this machine, once compiled")

    def _estimate(self) -> float:
        """Seconds that the stage will take, from the speed of a prediction."""
        some = {"image": np.zeros((64, *self.learner.inputs[0].shape[1:]), np.uint8)}
        self.learner.predict(some, batch_size=64, verbose=0)
        began = time.perf_counter()
        self.learner.predict(some, batch_size=64, verbose=0)
        forward = (time.perf_counter() - began) / 64
        share = _count(self.learner.trainable_weights) / max(_count(self.learner.weights), 1)
        training = len(self.train) * (1 + (TRAIN_OVER_FORWARD - 1) * share)
        return (self.stage.epochs - self.progress.epoch) * forward * (training + len(self.val))

    def _tell(self, row: Row) -> None:
        note = self.progress.notes[self.stage.name]
        left = note["seconds"] / row["epoch"] * (self.stage.epochs - row["epoch"])
        if self.waited > max(WORTH_SAYING, WAITING * self.fed) and not self.warned:
            cure = _CURES["features" if note["trunk_views_kept"] else self.train.kept]
            log.warning(f"{self.waited / self.fed:.0%} of the time, steps waited for their pictures: {cure}")
            self.warned = True
        followed = [f"val_{kind.name}_{kind.metric}" for kind in map(targets.of, self.experiment.targets)]
        log.info(
            f"{self.stage.name} {row['epoch']}/{self.stage.epochs}  {note['images_per_second']:.0f} images/s  "
            f"{duration(left)} left  {_shown(row, ['loss', 'val_loss', *followed])}"
        )


def _line(row: Row) -> str:
    """An epoch in a line of text: every column of history.csv."""
    values = (f"{name} {value:.6g}" for name, value in row.items() if name not in ("stage", "epoch"))
    return f"{row['stage']} {row['epoch']}: {'  '.join(values)}"


def _shown(row: Row, names: Sequence[str]) -> str:
    return "  ".join(f"{name} {row[name]:.4g}" for name in names if name in row)


def _val_columns(judged: Judged) -> dict[str, float]:
    row = {"val_loss": judged.loss}
    for name, loss in judged.losses.items():
        row[f"val_{name}_loss"] = loss
        row |= {f"val_{name}_{metric}": value for metric, value in judged.metrics[name].items()}
    return row | {f"val_{MEAN}_{metric}": value for metric, value in judged.overall.items()}


def _count(weights: Sequence[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _validating(table: pd.DataFrame, wanted: Sequence[Target]) -> pd.DataFrame:
    """The validation rows; none where not one has a known label, which would make every epoch perfect."""
    rows = table[table["split"] == "val"]
    if len(rows) and not any(kind.encode(rows[kind.name])[1].any() for kind in map(targets.of, wanted)):
        log.warning(f"none of {len(rows)} validation rows has a known label: there is no validation")
        return rows.iloc[:0]
    return rows


def _frozen(network: keras.Model) -> list[int]:
    """Which of a network's weights, by number, no step moves: those of frozen layers, batch norms' statistics too."""
    held = {id(weight) for layer in leaves(network) if not layer.trainable for weight in layer.weights}
    return [i for i, weight in enumerate(network.weights) if id(weight) in held]


def _labelled(stage: Stage, wanted: Sequence[Target], is_last: bool) -> pd.DataFrame:
    """The stage's table with a column for every target; a label that the dataset does not have is unknown everywhere.

    Raises RequestError when there is nothing to learn from.
    """
    table = datasets.load(stage.data)
    table = table.assign(**{target.name: None for target in wanted if target.name not in table})
    train = table[table["split"] == "train"]
    if train.empty:
        raise RequestError(f"stage {stage.name}: the training split of {stage.data.name} is empty ({len(table)} rows)")
    for target in wanted:
        said, is_other = datasets.strange_labels(target, stage.data, table)
        if is_other and is_last:
            raise RequestError(f"{said}: list the dataset's own classes in the target, or leave it out")
        if said:
            log.warning(f"{said}: they count as unknown")
    if not any(targets.of(target).encode(train[target.name])[1].any() for target in wanted):
        names = " or ".join(target.name for target in wanted)
        raise RequestError(
            f"stage {stage.name}: no training row of {stage.data.name} has a known {names}; its columns "
            f"are {', '.join(table.columns)}"
        )
    return table


def _balanced(experiment: Experiment, table: pd.DataFrame) -> Experiment:
    """The experiment with the class weights of balanced targets, by the training labels of the last stage."""
    rows = table[table["split"] == "train"]

    def filled_in(target: Target) -> Target:
        if not getattr(target, "balanced", False):
            return target
        labels, known = targets.of(target).encode(rows[target.name])
        counts = np.bincount(labels[known > 0, 0].astype(int), minlength=len(target.classes))
        return replace(target, class_weights=tuple(metrics.class_weights(counts).tolist()))

    return replace(experiment, targets=tuple(map(filled_in, experiment.targets)))


def _check_learnable(experiment: Experiment, tables: dict[str, pd.DataFrame]) -> None:
    """Every target must be known somewhere, and what is kept must be a column of history.csv."""
    for kind in map(targets.of, experiment.targets):
        if not any(kind.encode(table[kind.name][table["split"] == "train"])[1].any() for table in tables.values()):
            raise RequestError(f"no training row has a known {kind.name}: leave that target out, or label some rows")
    columns = ["val_loss"]
    for kind in map(targets.of, experiment.targets):
        columns += [f"val_{kind.name}_{metric}" for metric in ("loss", *kind.metric_names)]
    if sum(target.kind == "classes" for target in experiment.targets) > 1:
        columns += [f"val_{MEAN}_{metric}" for metric in metrics.OVERALL]
    for stage in experiment.stages:
        if stage.keep not in ("last", *columns):
            raise RequestError(
                f"stage {stage.name}: keep {stage.keep!r} is neither last nor a column of history.csv: "
                f"{', '.join(columns)}"
            )
