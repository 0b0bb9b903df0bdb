"""Public checkpoints: converted they answer as their authors' networks do; what does not fit is named."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import save_file

from models import build_backbone
from pipeline.training.runs import Run
from tests.golden.name_seeded import image_batch, state_dict

GOLDEN = Path(__file__).parents[1] / "golden"
SHAPES = json.loads((GOLDEN / "timm.json").read_text())


def tensors(theirs: str) -> dict[str, np.ndarray]:
    return state_dict(SHAPES[theirs]["tensors"])


@pytest.fixture(scope="module")
def resnet18() -> dict[str, np.ndarray]:
    return tensors("resnet18")


@pytest.mark.parametrize(
    ("name", "theirs", "top"),
    [
        ("resnet18", "resnet18", "fc"),
        ("resnet50_v15", "resnet50", "fc"),
        ("se_resnext50", "seresnext50_32x4d", "fc"),
        ("regnety_016", "regnety_016", "head.fc"),
        ("swinv2_tiny", "swinv2_cr_tiny_224", "head.fc"),
    ],
)
def test_converted_weights_answer_as_timm_does(name: str, theirs: str, top: str) -> None:
    given = tensors(theirs)
    backbone = build_backbone(name, 224, weights=given)
    pooled = backbone.predict(image_batch().astype("float32"), verbose=0).mean((1, 2))
    logits = pooled @ given[f"{top}.weight"].T + given[f"{top}.bias"]
    with np.load(GOLDEN / "timm.npz") as golden:
        for ours, answer in ((pooled, golden[f"{theirs}/pooled"]), (logits, golden[f"{theirs}/logits"])):
            assert np.linalg.norm(ours - answer) <= 1e-4 * np.linalg.norm(answer)


def same_weights(one: keras.Model, other: keras.Model) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(ours, theirs) for ours, theirs in pairs)


def test_a_safetensors_file_is_read(resnet18: dict[str, np.ndarray], tmp_path: Path) -> None:
    save_file(resnet18, tmp_path / "model.safetensors")
    backbone = build_backbone("resnet18", 64, weights=str(tmp_path / "model.safetensors"))
    assert same_weights(backbone, build_backbone("resnet18", 64, weights=resnet18))


def test_a_tensor_with_numbers_that_are_none_is_named(resnet18: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"bn1\.weight holds numbers that are none"):
        build_backbone("resnet18", 64, weights=resnet18 | {"bn1.weight": np.full(64, np.nan, "float32")})


def test_a_file_with_flipped_bytes_is_told_as_damaged_or_read(tmp_path: Path) -> None:
    """HDF5's own errors are of many kinds."""
    build_backbone("shared_trunk", 32).save_weights(tmp_path / "whole.weights.h5")
    whole = (tmp_path / "whole.weights.h5").read_bytes()
    for seed in range(20):
        content = np.frombuffer(whole, np.uint8).copy()
        places = np.random.default_rng(seed).integers(0, len(content), 400)
        content[places] ^= 255
        (tmp_path / "flipped.weights.h5").write_bytes(content.tobytes())
        with contextlib.suppress(ValueError):
            build_backbone("shared_trunk", 32, weights=tmp_path / "flipped.weights.h5")


def test_torchvisions_names_of_a_regnet_are_known() -> None:
    given = tensors("regnety_016")
    renamed = {torchvision_name(name): values for name, values in given.items()}
    assert len(renamed) == len(given)
    assert same_weights(
        build_backbone("regnety_016", 64, weights=renamed), build_backbone("regnety_016", 64, weights=given)
    )


def torchvision_name(timm: str) -> str:
    """s3.b2.conv1.bn.weight → trunk_output.block3.block3-1.f.a.1.weight, and so on."""
    part = {"conv1": "f.a", "conv2": "f.b", "conv3": "f.c", "downsample": "proj"}
    name = re.sub(r"^s(\d)\.b(\d+)", lambda m: f"trunk_output.block{m[1]}.block{m[1]}-{int(m[2]) - 1}", timm)
    name = re.sub(r"(conv\d|downsample)\.(?=conv|bn)", lambda m: f"{part[m[1]]}.", name)
    name = re.sub(r"\.conv\.(?=weight)", ".0.", re.sub(r"\.bn\.", ".1.", name))
    return name.replace(".se.", ".f.se.").replace("head.fc", "fc")


def test_the_backbone_of_a_run_is_taken_at_another_size(run: Run) -> None:
    backbone = build_backbone("shared_trunk", 48, weights=str(run.path))
    trained = keras.saving.load_model(run.model).get_layer("shared_trunk")
    assert same_weights(backbone, trained)


def test_a_run_of_another_network_is_refused(run: Run) -> None:
    with pytest.raises(ValueError, match=r"model\.keras does not fit resnet18: without bn1/gamma"):
        build_backbone("resnet18", 64, weights=str(run.path))


def test_tensors_of_another_network_are_named_with_their_shapes(resnet18: dict[str, np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"layer1\.0\.conv1\.weight is \[64, 64, 3, 3\], expected \[64, 64, 1, 1\]"):
        build_backbone("resnet50_v15", 64, weights=resnet18)


def test_a_deeper_network_does_not_pass_for_a_shallower_one(resnet18: dict[str, np.ndarray]) -> None:
    deeper = resnet18 | {"layer4.2.conv1.weight": np.zeros((512, 512, 3, 3), "float32")}
    with pytest.raises(ValueError, match=r"with the unknown layer4\.2\.conv1\.weight"):
        build_backbone("resnet18", 64, weights=deeper)


def test_a_missing_tensor_is_named(resnet18: dict[str, np.ndarray]) -> None:
    without = {name: values for name, values in resnet18.items() if name != "bn1.running_var"}
    with pytest.raises(ValueError, match=r"mapping does not fit resnet18: without bn1\.running_var$"):
        build_backbone("resnet18", 64, weights=without)


@pytest.mark.parametrize("name", ["damaged.safetensors", "damaged.keras", "damaged.weights.h5"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"rubbish" * 9)
    with pytest.raises(ValueError, match=name):
        build_backbone("shared_trunk", 32, weights=tmp_path / name)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"model\.pth is of another kind.*\.safetensors"):
        build_backbone("resnet18", 64, weights=tmp_path / "model.pth")


def test_a_file_of_another_network_of_the_same_shapes_is_refused(tmp_path: Path) -> None:
    build_backbone("hassner", 64).save(tmp_path / "hassner.keras")
    with pytest.raises(ValueError, match=r"does not fit hassner_original: it is of hassner$"):
        build_backbone("hassner_original", 64, weights=tmp_path / "hassner.keras")


def test_names_of_a_network_that_several_devices_trained_are_known(resnet18: dict[str, np.ndarray]) -> None:
    given = {f"module.{name}": values for name, values in resnet18.items()}
    assert same_weights(build_backbone("resnet18", 64, weights=given), build_backbone("resnet18", 64, weights=resnet18))


@pytest.fixture(scope="module")
def keras_efficientnet() -> keras.Model:
    """Keras' own, whose constants are those that it publishes with ImageNet's weights."""
    network = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3), name="b0")
    constants = next(layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))
    constants.set_weights([np.array(values) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0)])
    return network


@pytest.mark.parametrize("name", ["keras.weights.h5", "keras.keras"])
def test_keras_own_efficientnet_fits(name: str, keras_efficientnet: keras.Model, tmp_path: Path) -> None:
    write = keras_efficientnet.save if name.endswith(".keras") else keras_efficientnet.save_weights
    write(tmp_path / name)
    backbone = build_backbone("efficientnet_b0", 64, weights=tmp_path / name)
    assert np.array_equal(
        backbone.get_layer("stem_conv").get_weights(), keras_efficientnet.get_layer("stem_conv").get_weights()
    )


def test_an_efficientnet_that_normalises_otherwise_is_refused(tmp_path: Path) -> None:
    network = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3))
    network.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match=r"other\.weights\.h5 .*other constants than ImageNet's"):
        build_backbone("efficientnet_b0", 64, weights=tmp_path / "other.weights.h5")


APPLICATIONS = {
    "mobilenetv2": keras.applications.MobileNetV2,
    "mobilenetv3": keras.applications.MobileNetV3Large,
    "resnet50": keras.applications.ResNet50,
}


def keras_2_file(path: Path, network: keras.Model) -> Path:
    """The layout of the files that Keras publishes; its random weights differ from those of any backbone built here."""
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    return path


def weight_names(layer: h5py.Group) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else name for name in layer.attrs["weight_names"]]


def assert_holds(backbone: keras.Model, path: Path, renamed: str = "") -> None:
    """Every weight of the backbone is the file's, as h5py reads it."""
    with h5py.File(path) as file:
        group = file.get("model_weights", file)
        for layer in backbone.layers:
            if layer.weights:
                held = group[renamed + layer.name]
                for name, ours in zip(weight_names(held), layer.get_weights(), strict=True):
                    assert np.array_equal(held[name][()], ours)


@pytest.fixture(scope="module")
def mobilenetv2_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a top, as `--weights imagenet` downloads it."""
    network = keras.applications.MobileNetV2(include_top=False, input_shape=(64, 64, 3), weights=None)
    return keras_2_file(tmp_path_factory.mktemp("keras_2") / "mobilenet_v2_1.0_224_no_top.h5", network)


@pytest.mark.parametrize("name", ["any.h5", "any.weights.h5", "any.hdf5", "any.keras"])
def test_keras_own_file_is_known_by_what_it_holds(name: str, mobilenetv2_file: Path, tmp_path: Path) -> None:
    shutil.copy(mobilenetv2_file, tmp_path / name)
    assert_holds(build_backbone("mobilenetv2", 64, weights=tmp_path / name), mobilenetv2_file)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_keras_own_file_with_a_top_fits(name: str, tmp_path: Path) -> None:
    path = keras_2_file(tmp_path / "whole.h5", APPLICATIONS[name](weights=None))
    assert_holds(build_backbone(name, 64, weights=path), path)


def test_a_whole_network_in_keras_2s_layout_fits(tmp_path: Path) -> None:
    network = keras.applications.MobileNetV2(include_top=False, input_shape=(64, 64, 3), weights=None)
    network.save(tmp_path / "network.h5")
    assert_holds(build_backbone("mobilenetv2", 64, weights=tmp_path / "network.h5"), tmp_path / "network.h5")


@pytest.mark.parametrize("top", [False, True])
def test_layers_of_other_names_are_taken_in_their_order_as_keras_does(top: bool, tmp_path: Path) -> None:
    """Of MobileNetV3 Keras 3 has other names than its own file."""
    network = keras.applications.MobileNetV3Large(include_top=top, input_shape=(224, 224, 3), weights=None)
    renamed = keras.models.clone_model(
        network,
        clone_function=lambda layer: layer.__class__.from_config(layer.get_config() | {"name": f"old_{layer.name}"}),
    )
    path = keras_2_file(tmp_path / "old.h5", renamed)
    assert_holds(build_backbone("mobilenetv3", 64, weights=path), path, "old_")


@pytest.mark.parametrize("normalises_alike", [True, False])
def test_keras_own_efficientnet_file(normalises_alike: bool, keras_efficientnet: keras.Model, tmp_path: Path) -> None:
    other = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(64, 64, 3))
    path = keras_2_file(tmp_path / "efficientnetb0_notop.h5", keras_efficientnet if normalises_alike else other)
    if not normalises_alike:
        with pytest.raises(ValueError, match="other constants than ImageNet's"):
            build_backbone("efficientnet_b0", 64, weights=path)
        return
    backbone = build_backbone("efficientnet_b0", 64, weights=path)
    for layer in keras_efficientnet.layers:
        if layer.weights and not isinstance(layer, keras.layers.Normalization):
            assert all(map(np.array_equal, backbone.get_layer(layer.name).get_weights(), layer.get_weights()))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file["Conv1"].pop("Conv1"), "cannot be read, it may be damaged"),
        (lambda file: file["Conv1"].attrs.create("weight_names", np.array([], "S1")), "without Conv1/kernel"),
        (
            lambda file: give(file, np.zeros((5, 5, 3, 32))),
            r"Conv1/kernel is \[5, 5, 3, 32\], expected \[3, 3, 3, 32\]",
        ),
    ],
)
def test_a_file_of_keras_2_that_does_not_fit_is_named(
    change, said: str, mobilenetv2_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.h5"
    shutil.copy(mobilenetv2_file, path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=rf"weights file .*other\.h5 .*{said}"):
        build_backbone("mobilenetv2", 64, weights=path)


def give(file: h5py.File, kernel: np.ndarray) -> None:
    (name,) = weight_names(file["Conv1"])
    del file["Conv1"][name]
    file["Conv1"][name] = kernel


def test_a_deeper_network_of_keras_2_does_not_pass_for_a_shallower_one(tmp_path: Path) -> None:
    network = keras.applications.ResNet101(include_top=False, input_shape=(64, 64, 3), weights=None)
    with pytest.raises(ValueError, match="does not fit resnet50: with the unknown conv4_block7"):
        build_backbone("resnet50", 64, weights=keras_2_file(tmp_path / "deeper.h5", network))


def test_a_cut_file_of_keras_2_is_named(mobilenetv2_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.h5").write_bytes(mobilenetv2_file.read_bytes()[:1_000_000])
    with pytest.raises(ValueError, match=r"weights file .*cut\.h5 cannot be read"):
        build_backbone("mobilenetv2", 64, weights=tmp_path / "cut.h5")
