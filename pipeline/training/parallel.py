"""The devices that a training runs on: one, all of this machine, or all of several processes that work as one.

Every device takes an equal part of each batch and holds all weights. The numbers are one device's up to the order of
additions: the loss is a mean over the whole batch, and so are the statistics of batch norm. Only on TensorFlow does
dropout draw otherwise (each device draws the same).
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np

from pipeline.config import Experiment
from pipeline.utils.errors import RequestError

log = logging.getLogger(__name__)

CHOICES = ("one", "all")
JOIN_SECONDS = 300  # how long a process waits for the others: their imports, on a cold file system, take minutes
_LEAVE_SECONDS = 100  # how long one waits for the others at its end: until the first has saved the network


class Devices:
    """One device, and one process: what the others do more than that."""

    count = 1
    processes = 1
    process = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes the run."""
        return self.process == 0

    @property
    def part(self) -> tuple[int, int]:
        """Which of how many equal parts of each batch this process reads."""
        return self.process, self.processes

    def at_work(self) -> AbstractContextManager:
        """Within it networks are built, and whatever is asked of them is asked of all devices alike."""
        return nullcontext()

    def sharing(self, layers: Iterable[keras.Layer]) -> AbstractContextManager:
        """Within it every device takes its part of each batch that a network of these layers is trained on."""
        return nullcontext()

    def check(self, experiment: Experiment) -> None:
        """Raises RequestError for an experiment that cannot be divided, or that other processes have otherwise."""
        for stage in experiment.stages:
            self.check_batch(stage.name, stage.batch_size)

    def check_batch(self, stage: str, rows: int) -> None:
        """Raises RequestError for batches that cannot be divided."""
        if rows % self.count:
            raise RequestError(
                f"stage {stage}: a batch of {rows} rows cannot be divided among {self.count} devices: expected a "
                f"batch_size that is a multiple of {self.count}, and no fewer training rows than that"
            )

    def agree(self, what: str, value: object) -> None:
        """Raises RequestError, in every process, where `value` is not the same in all of them."""

    def first_says(self, value: Any) -> Any:
        """The first process' value (anything that JSON can hold), in every process."""
        return value


ONE = Devices()


def use(which: str) -> Devices:
    """The devices of a choice: `one`, or `all` of this machine and of the processes that were started with this one.

    With processes it comes before anything is computed, and once: it waits for the others. Raises RequestError for
    another choice, or processes on TensorFlow. Where the others cannot be reached, the process ends (exit status 1).
    """
    if which not in CHOICES:
        raise RequestError(f"devices {which!r}: expected {' or '.join(CHOICES)}")
    if which == "one":
        return ONE
    devices = _on_jax() if keras.backend.backend() == "jax" else _on_tensorflow()
    if devices.count == 1:
        log.info("there is one device on this machine: it trains alone")
    else:
        log.info(f"trains on {devices.count} devices of {devices.processes} processes, which share each batch")
    return devices


def leads() -> bool:
    """Whether this process is the only one, or the first of those that trained as one."""
    if keras.backend.backend() != "jax":
        return True
    import jax

    return jax.process_index() == 0


def summed(value: Any) -> Any:
    """The sum over all devices of what each has of a training step; on JAX a step is written as of one device."""
    if replicas() == 1:
        return value
    import tensorflow as tf

    replica = tf.distribute.get_replica_context()  # none while Keras looks at shapes
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, value) if replica else value


def replicas() -> int:
    """How many devices run a training step each with a loss of its own, whose gradients are added."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


# -- TensorFlow -------------------------------------------------------------------------------------------------------


class _Mirrored(Devices):
    """All devices of this machine, by tf.distribute."""

    def __init__(self, names: list[str]) -> None:
        import tensorflow as tf

        self.count = len(names)
        self.strategy = tf.distribute.MirroredStrategy(names)

    def at_work(self) -> AbstractContextManager:
        return self.strategy.scope()

    @contextmanager
    def sharing(self, layers: Iterable[keras.Layer]) -> Iterator[None]:
        """Batch norm takes its mean over all devices; the network that is saved says nothing of that."""
        norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        for layer in norms:
            layer.synchronized = True
        try:
            yield
        finally:
            for layer in norms:
                layer.synchronized = False

    def check(self, experiment: Experiment) -> None:
        super().check(experiment)
        if experiment.xla == "on":
            raise RequestError("xla on: TensorFlow cannot compile a step of several devices; KERAS_BACKEND=jax can")


def _on_tensorflow() -> Devices:
    import tensorflow as tf

    if started_together() > 1:
        raise RequestError(
            f"{started_together()} processes train as one on JAX alone: set KERAS_BACKEND=jax, or leave out --devices"
        )
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return _Mirrored([device.name for device in found]) if len(found) > 1 else ONE


# -- JAX --------------------------------------------------------------------------------------------------------------


class _AllAlike(keras.distribution.DataParallel):
    """Every device computes all rows, so that every process has all answers, whatever the number of rows."""

    def get_data_layout(self, data_shape: tuple[int, ...]) -> keras.distribution.TensorLayout:
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


class _DataParallel(Devices):
    """All devices of all processes, by keras.distribution. Each process reads its part of a batch, no more."""

    def __init__(self) -> None:
        import jax

        self.count, self.processes, self.process = jax.device_count(), jax.process_count(), jax.process_index()
        self.parts = keras.distribution.DataParallel(auto_shard_dataset=False)
        self.alike = _AllAlike(self.parts.device_mesh, auto_shard_dataset=False)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """At its end the processes part: the first goes on alone."""
        with self.alike.scope():
            yield
        if self.processes > 1:
            import jax

            jax.distributed.shutdown()

    def sharing(self, layers: Iterable[keras.Layer]) -> AbstractContextManager:
        return self.parts.scope()

    def check(self, experiment: Experiment) -> None:
        self.agree("the experiment", experiment)
        super().check(experiment)

    def agree(self, what: str, value: object) -> None:
        from jax.experimental import multihost_utils

        mine = np.uint32(zlib.crc32(repr(value).encode()))
        if self.processes > 1 and len(set(np.ravel(multihost_utils.process_allgather(mine)).tolist())) > 1:
            raise RequestError(f"the {self.processes} processes do not have the same: {what} must be equal in all")

    def first_says(self, value: Any) -> Any:
        from jax.experimental import multihost_utils

        if self.processes == 1:
            return value
        said = np.frombuffer(json.dumps(value).encode(), np.uint8)
        length = int(multihost_utils.broadcast_one_to_all(np.int32(len(said))))
        said = said if self.leads else np.zeros(length, np.uint8)
        return json.loads(np.asarray(multihost_utils.broadcast_one_to_all(said), np.uint8).tobytes())


def _on_jax() -> Devices:
    import jax

    if started_together() > 1:
        _join()
    return _DataParallel() if jax.device_count() > 1 else ONE


def _join() -> None:
    """Meet the other processes: where Keras' variables say, or where Slurm does, which JAX can read."""
    import jax

    address, count, number = (os.environ.get(f"KERAS_DISTRIBUTION_{name}") for name in _VARIABLES)
    first = address.split(",")[0] if address else None
    watch = threading.Timer(JOIN_SECONDS, _give_up, [first])
    watch.start()
    try:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(
            first,
            int(count) if count else None,
            int(number) if number else None,
            initialization_timeout=2 * JOIN_SECONDS,
            shutdown_timeout_seconds=_LEAVE_SECONDS,
        )
    except (ValueError, IndexError, RuntimeError) as error:
        raise RequestError(
            f"the processes cannot meet ({str(error).splitlines()[0]}): expected KERAS_DISTRIBUTION_"
            f"{', _'.join(_VARIABLES)} such as host:1234, 2 and 0 (1 in the second), and one training in a process"
        ) from error
    finally:
        watch.cancel()
    if jax.process_index() > 0:
        logging.getLogger("pipeline").setLevel(logging.WARNING)  # the first tells what all of them do


def _give_up(first: str | None) -> None:
    """End the process with a message: JAX ends it too, with a stack trace and no word of where it looked."""
    where = first or "the first node of the Slurm job"
    print(
        f"facet: the {started_together()} processes did not meet at {where} within {JOIN_SECONDS} s: is each of them "
        "running, and can that port be reached?",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)


_VARIABLES = ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")


def started_together() -> int:
    """How many processes were started to train as one. Raises RequestError for a number that is none."""
    slurm = os.environ.get("SLURM_NTASKS") if "SLURM_STEP_NODELIST" in os.environ else None  # within `srun`
    said = os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES") or slurm or "1"
    if not said.isdecimal() or not int(said):
        raise RequestError(f"KERAS_DISTRIBUTION_NUM_PROCESSES={said}: expected how many processes there are")
    return int(said)
