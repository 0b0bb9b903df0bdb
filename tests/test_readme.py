"""What the README shows is what there is."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.training.runs import Run
from tests.conftest import write_picture

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(language: str, word: str) -> str:
    """The code block of this language that holds the word."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(text for text in blocks if word in text)


@pytest.mark.slow  # TensorFlow is imported again
def test_saved_model_cli_says_what_is_shown(run: Run) -> None:
    program = [str(Path(sys.executable).parent / "saved_model_cli"), "show", "--dir", str(run.saved_model)]
    said = subprocess.run(
        [*program, "--tag_set", "serve", "--signature_def", "jpeg"], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == block("text", "jpeg_bytes").splitlines()


def test_the_request_for_tensorflow_serving_names_a_signature_and_its_inputs(run: Run, tmp_path: Path) -> None:
    request = json.loads(block("json", "signature_name"))
    (value,) = request["inputs"]["bytes"]
    value["b64"] = base64.b64encode(write_picture(tmp_path / "face.jpg").read_bytes()).decode()
    model = tf.saved_model.load(run.saved_model)  # must outlive the call
    given = {
        name: tf.constant([base64.b64decode(one["b64"]) for one in values])
        for name, values in request["inputs"].items()
    }
    answers = model.signatures[request["signature_name"]](**given)
    assert np.asarray(answers["gender"]).sum() == pytest.approx(1, abs=1e-5)
