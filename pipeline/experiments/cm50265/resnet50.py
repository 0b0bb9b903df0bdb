"""CM50265's second model: ResNet50 from ImageNet, frozen, global average pooling, a dense branch each for age, gender.

Reported (its validation split): gender accuracy 0.84, age MAE 8.1 (the report says "mean squared error" of 8.1).
The data are unnamed; UTKFace at 128×128 is assumed, 20 % for validation. Losses, rate and regularisation as for the
report's own model (`shared_trunk`), dropout and L2, which its search leaves open, light. Early stopping after 3 epochs.
Run: make train MODEL=cm50265/resnet50 DATA_ROOT=utkface
"""

from pipeline.config import (
    Augment,
    Binary,
    Data,
    Experiment,
    Head,
    Model,
    Optimizer,
    RandomSplit,
    Regression,
    Schedule,
    Stage,
)

BRANCH = Head(units=(128, 16), dropout=(0.2, 0.0), l2=1e-4)

EXPERIMENT = Experiment(
    model=Model("resnet50", weights="imagenet", image_size=128),
    targets=(
        Regression("age", loss="mse", standardize=False, head=BRANCH),
        Binary("gender", weight=50.0, head=BRANCH),
    ),
    stages=(
        Stage(
            "train",
            data=Data("utkface", split=RandomSplit(test=0.1, val=0.2, by="image")),
            train="head",
            epochs=50,
            batch_size=32,
            early_stopping=3,
            optimizer=Optimizer("adam", learning_rate=1e-3, schedule=Schedule("exponential", decay=0.95)),
            augment=Augment(flip=0.5, rotation=10, zoom=0.1),
        ),
    ),
)
