"""The same training on JAX, in a process of its own: trained, evaluated, exported, and the export answers alike."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline import Predictor
from pipeline.config import Experiment, parsing
from tests.conftest import with_stage

pytest.importorskip("jax", reason="JAX is an optional backend")


GRADIENTS = """
import jax, numpy as np
from pipeline import targets
from pipeline.config import Binary, Classes

for logit in (20.0, 40.0, 100.0, -20.0, -100.0):
    for target, outputs in ((Binary("x", ("a", "b")), [[logit]]), (Classes("x", ("a", "b")), [[0.0, logit]])):
        kind, labels = targets.of(target), np.zeros((1, 1), np.float32)
        loss, gradient = jax.value_and_grad(lambda outputs: kind.losses(labels, outputs, None)[0])(np.float32(outputs))
        np.testing.assert_allclose(loss, np.log1p(np.exp(logit)), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(gradient[0, -1], 1 / (1 + np.exp(-logit)), rtol=1e-5, atol=1e-40)
"""


def test_a_confident_row_has_its_whole_loss_and_gradient_on_jax() -> None:
    """A row of the first of two classes, which is given this logit less than the second."""
    program, environment = [sys.executable, "-c", GRADIENTS], os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
def test_a_run_on_jax_answers_as_its_export_does(tiny: Experiment, tmp_path: Path) -> None:
    on_device = replace(with_stage(tiny, epochs=1), augment_on="device")  # the warp by JAX, too
    (tmp_path / "tiny.json").write_text(parsing.to_json(on_device))
    program = [sys.executable, "-m", "pipeline", "train", str(tmp_path / "tiny.json"), "--runs", str(tmp_path / "runs")]
    done = subprocess.run(program, env=os.environ | {"KERAS_BACKEND": "jax"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    run = Path(done.stdout.splitlines()[-1])
    assert '"backend": "jax"' in (run / "environment.json").read_text()
    said = pd.read_csv(run / "predictions.csv")
    answers = Predictor(run)(said["path"].tolist(), faces="whole")
    assert np.abs(answers["gender_p_male"] - said["gender_p_male"]).max() < 1e-4
    assert np.abs(answers["age_predicted"] - said["age_predicted"]).max() < 1e-3
