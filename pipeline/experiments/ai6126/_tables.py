"""AI6126's result, and the studies of which it shows curves."""

from pipeline.config.tables import Column, Row, Table

COLUMNS = (
    Column("validation accuracy", "val:mean_accuracy", honest="test:mean.accuracy"),
    Column("mean balanced accuracy", "val:mean_balanced_accuracy", honest="test:mean.balanced_accuracy"),
    Column("mean recall of 26 classes", "val:mean_class_recall", honest="test:mean.class_recall"),
)
NOTE = (
    "The report's score is not defined: these are means over the six categories, of the kept epoch. Ours: of the epoch "
    "that is best on these very rows, as they did it; honest: chosen on a tenth of the training list, the validation "
    "list read once."
)

TABLES = (
    Table(
        "winner",
        "The winner",
        (*COLUMNS, Column("test accuracy", "test:mean.accuracy", honest="")),
        (Row("winner", "ai6126/winner", {"validation accuracy": "0.663", "test accuracy": "0.7002"}),),
        note=NOTE + " The test list has no labels: its answers are prediction.zip in the run.",
    ),
    Table(
        "batch",
        "Batch sizes",
        COLUMNS,
        (
            Row("64", "ai6126/batch_64"),
            Row("128", "ai6126/winner"),
            Row("256", "ai6126/batch_256"),
        ),
        note=NOTE,
    ),
    Table(
        "decay",
        "Weight decay",
        COLUMNS,
        (
            Row("0.0003", "ai6126/decay_0003"),
            Row("0.0005", "ai6126/decay_0005"),
            Row("0.0008", "ai6126/winner"),
            Row("0.0095", "ai6126/decay_0095"),
        ),
        note=NOTE,
    ),
    Table(
        "dropout",
        "Dropout, 30 epochs",
        COLUMNS,
        (
            Row("0.2", "ai6126/dropout_02"),
            Row("0.3", "ai6126/dropout_03"),
            Row("0.5", "ai6126/dropout_05"),
        ),
        note=NOTE,
    ),
)
