"""CZ4042's tables. The 28 rows of its four searches are `python -m tuning cz4042`."""

from pipeline.experiments.cz4042._base import ADIENCE
from pipeline.tables import Column, Row, Table

LOSS, ACCURACY = Column("test loss", "test:loss"), Column("test accuracy", "test:gender.accuracy")
TRAIN_TIME, TEST_TIME = Column("train time", "seconds"), Column("test time", "test:seconds")
EPOCHS = Column("epochs", "epochs")


def _row(label: str, experiment: str, *reported: str, columns: tuple[Column, ...]) -> Row:
    headings = (column.heading for column in columns)
    return Row(label, f"cz4042/{experiment}", dict(zip(headings, reported, strict=True)))


def _compared(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(LOSS, ACCURACY, TRAIN_TIME, TEST_TIME))


def _studied(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(ACCURACY, LOSS, TRAIN_TIME))


def _final(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(ACCURACY, LOSS, EPOCHS))


CELEBA, BEFORE = Column("CelebA test", "test:gender.accuracy"), Column("Adience test", "other:gender.accuracy")


def _pretrained(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(CELEBA, BEFORE))


TABLES = (
    Table(
        "networks",
        "Comparison of networks, 20 epochs",
        (LOSS, ACCURACY, TRAIN_TIME, TEST_TIME),
        (
            _compared("Hassner CNN", "hassner", "0.4080", "0.8766", "1h 41m 9s", "971 ms"),
            _compared("ResNet50", "resnet50", "0.6513", "0.7688", "1h 59m 11s", "17 s"),
            _compared("MobileNetV2", "mobilenetv2", "0.5182", "0.8827", "49m 1s", "707 ms"),
        ),
        note="The report's test time is that of one step, ours of the whole split.",
    ),
    Table("first", "Starting simple", (LOSS, ACCURACY), (Row("ResNet50, FC 2048-1024", "cz4042/first"),)),
    Table(
        "augmentation",
        "Augmentation study, 50 epochs",
        (ACCURACY, LOSS, TRAIN_TIME),
        (
            _studied("with", "augmented", "0.8491", "0.3561", "5h 24m"),
            _studied("without", "finetuned", "0.9000", "0.2764", "4h 8m"),
        ),
    ),
    Table(
        "celeba",
        "Pre-training on CelebA",
        (CELEBA, BEFORE),
        (
            _pretrained("resized ZW (no weights, 112)", "pretrained_scratch", "0.9720", "0.6052"),
            _pretrained("resized (ImageNet, 112)", "pretrained_resized", "0.9794", "0.6371"),
            _pretrained("CelebA (ImageNet, 224)", "pretrained", "0.9669", "0.7868"),
        ),
        other=ADIENCE,
        note="Adience before any fine-tuning.",
    ),
    Table(
        "final",
        "Final results of MobileNetV2",
        (ACCURACY, LOSS, EPOCHS),
        (
            _final("baseline", "mobilenetv2", "0.8827", "0.5182", "20"),
            _final("pretrained", "finetuned", "0.9147", "0.1865", "50"),
            _final("tuned", "tuned", "0.934", "0.06276", "50"),
            _final("tuned + pretrained", "tuned_pretrained", "0.9287", "0.7237", "50"),
        ),
    ),
)
