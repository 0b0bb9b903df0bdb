"""This process and this machine: seeds, precision, and what a run should remember of them."""

from __future__ import annotations

import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras
import tensorflow as tf

from pipeline.config import Experiment
from pipeline.training import parallel

_PACKAGES = ("tensorflow", "keras", "numpy", "pandas", "opencv-python", "opencv-python-headless")


def set_up(experiment: Experiment) -> None:
    """Seeds, determinism and precision of this process.

    Keras on TensorFlow leaves XLA out where operations must be deterministic: with it, two runs of a seed may differ in
    their last bits.
    """
    keras.utils.set_random_seed(experiment.seed)
    if keras.backend.backend() != "tensorflow" or not uses_xla(experiment):
        tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_global_policy(precision(experiment))


def precision(experiment: Experiment) -> str:
    """The policy that `auto` stands for on this machine: bfloat16 where the GPUs have it."""
    if experiment.precision != "auto":
        return experiment.precision
    return "mixed_bfloat16" if _has_bfloat16() else "float32"


def uses_xla(experiment: Experiment) -> bool:
    """Whether the training step is compiled by XLA; on a CPU it makes MobileNetV2's several times slower.

    JAX has no other compiler. TensorFlow cannot compile a step of several devices.
    """
    if keras.backend.backend() == "jax":
        return experiment.xla != "off"
    if parallel.replicas() > 1:
        return False
    return experiment.xla == "on" or (experiment.xla == "auto" and _has_gpu())


def augments_on(experiment: Experiment) -> str:
    """`cpu` or `device`: where training pictures are changed."""
    if experiment.augment_on != "auto":
        return experiment.augment_on
    return "device" if _has_gpu() else "cpu"


def environment(experiment: Experiment) -> dict[str, object]:
    """Commit, versions, device, precision and seed."""
    return {
        "commit": _commit(),
        "versions": {"python": platform.python_version()} | _versions(),
        "backend": keras.backend.backend(),
        "device": _devices(),
        "precision": precision(experiment),
        "xla": uses_xla(experiment),
        "augment_on": augments_on(experiment),
        "seed": experiment.seed,
    }


def _has_gpu() -> bool:
    return bool(_capabilities())


def _has_bfloat16() -> bool:
    """Whether all GPUs multiply it: NVIDIA's from compute capability 8.0 (a T4, of 7.5, only makes it from float32)."""
    return min(_capabilities(), default=(0, 0)) >= (8, 0)


def _capabilities() -> list[tuple[int, int]]:
    """Of each GPU, NVIDIA's compute capability; (0, 0) where its maker knows no such number."""
    if keras.backend.backend() == "jax":
        import jax

        said = [str(gpu.compute_capability) for gpu in jax.devices() if gpu.platform == "gpu"]
        return [(int(one[1]), int(one[2])) if (one := re.fullmatch(r"(\d+)\.(\d+)", it)) else (0, 0) for it in said]
    gpus = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [details.get("compute_capability", (0, 0)) for details in gpus]


def _devices() -> list[str]:
    """Those of this process, by kind and maker's name."""
    if keras.backend.backend() == "jax":
        import jax

        return [f"{device.platform.upper()} {device.device_kind}" for device in jax.local_devices()]
    return [f"{device.device_type} {_model(device)}".strip() for device in tf.config.list_physical_devices()]


def _model(device: tf.config.PhysicalDevice) -> str:
    return tf.config.experimental.get_device_details(device).get("device_name", platform.processor() or "")


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # one of the two opencv packages is not there
    return found


def _commit() -> str | None:
    """The commit of this code, where it lies in a git checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
