"""CM50265's figures, and its greyscale study, of which it shows learning curves only."""

from pipeline.config.tables import Column, Row, Table

GENDER, AGE = "gender accuracy", "age MAE"
TRAIN = (Column(f"train {GENDER}", "train:gender_accuracy"), Column(f"train {AGE}", "train:age_mae"))
VAL = (
    Column(f"validation {GENDER}", "val:gender_accuracy", honest="test:gender.accuracy"),
    Column(f"validation {AGE}", "val:age_mae", honest="test:age.mae"),
)
NOTE = "The report judges by its validation split, which is augmented; honest are test rows, as they are."

TABLES = (
    Table(
        "models",
        "Its own model, and ResNet50",
        (*TRAIN, *VAL),
        (
            Row(
                "own model (A)",
                "cm50265/shared_trunk",
                {
                    f"train {GENDER}": "0.93",
                    f"train {AGE}": "5.6",
                    f"validation {GENDER}": "0.88",
                    f"validation {AGE}": "6.8",
                },
            ),
            Row("ResNet50 (B)", "cm50265/resnet50", {f"validation {GENDER}": "0.84", f"validation {AGE}": "8.1"}),
        ),
        note=NOTE,
    ),
    Table(
        "greyscale",
        "Greyscale study",
        VAL,
        (
            Row("grey: neither branch", "cm50265/shared_trunk"),
            Row("grey: gender branch", "cm50265/grey_gender"),
            Row("grey: both branches", "cm50265/grey_both"),
        ),
        note=NOTE,
    ),
)
