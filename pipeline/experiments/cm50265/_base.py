"""What CM50265's experiments share: "the training data provided", and how both of its models were trained.

The data are unnamed: UTKFace at 128×128 is assumed. The 20 % that Keras' generators set aside for validation are what
the report judges by, images drawn at random, augmented like the others; it has no test split, so neither have these.
The loss is MSE(age) + 50 · BCE(gender). Rate, its decay, the strengths of rotation and zoom and the batch are not
given: Adam's 1e-3, a factor of 0.95 an epoch, 10°, 0.1 and 32 are taken; of dropout and L2, which the report searched
(`python -m tuning cm50265`), light ones.
"""

from pipeline.config import Augment, Binary, Data, Head, Optimizer, RandomSplit, Regression, Schedule, Stage

UTKFACE = Data("utkface", split=RandomSplit(test=0.0, val=0.2, by="image"))
DROPOUT, L2 = (0.2, 0.0), 1e-4


def age(head: Head, **options: object) -> Regression:
    return Regression("age", loss="mse", standardize=False, head=head, **options)


def gender(head: Head, **options: object) -> Binary:
    return Binary("gender", weight=50.0, head=head, **options)


def stage(train: str, early_stopping: int | None = None) -> Stage:
    """50 epochs, of which the one with the lowest validation loss is kept."""
    return Stage(
        "train",
        data=UTKFACE,
        train=train,
        epochs=50,
        batch_size=32,
        optimizer=Optimizer("adam", 1e-3, schedule=Schedule("exponential", decay=0.95)),
        augment=Augment(flip=0.5, rotation=10, zoom=0.1),
        augment_val=True,
        early_stopping=early_stopping,
    )
