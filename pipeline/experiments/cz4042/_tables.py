"""CZ4042's tables. The 28 rows of its four searches are `python -m tuning cz4042`."""

from dataclasses import replace

from pipeline.config.tables import Column, Row, Table
from pipeline.experiments.cz4042._base import ADIENCE

LOSS, ACCURACY = Column("test loss", "test:loss"), Column("test accuracy", "test:gender.accuracy")
TRAIN_TIME, TEST_TIME = Column("train time", "seconds:last"), Column("test time", "test:seconds")
EPOCHS = Column("epochs", "epochs")
WEIGHTS, SIZE = Column("weights", "set:model.weights"), Column("target image size", "set:model.image_size")
RATE = Column("learning rate", "set:stages.-1.optimizer.learning_rate")
CELEBA, ON_ADIENCE = Column("CelebA test", "test:gender.accuracy"), Column("Adience test", "other:gender.accuracy")
OF_ADIENCE = {"CelebA test": "", "Adience test": "test:gender.accuracy"}  # of what was trained on Adience itself


def _row(label: str, experiment: str, *reported: str, columns: tuple[Column, ...]) -> Row:
    headings = (column.heading for column in columns)
    return Row(label, f"cz4042/{experiment}", dict(zip(headings, reported, strict=True)))


def _compared(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(LOSS, ACCURACY, TRAIN_TIME, TEST_TIME))


def _studied(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(TRAIN_TIME, LOSS, ACCURACY, EPOCHS))


def _final(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(ACCURACY, LOSS, EPOCHS))


def _pretrained(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(WEIGHTS, SIZE, CELEBA, ON_ADIENCE))


def _finetuned(label: str, experiment: str, *reported: str) -> Row:
    return _row(label, experiment, *reported, columns=(RATE, CELEBA, ON_ADIENCE))


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
        note="The report's test time is that of one step, ours of the whole split. Ours runs a frozen network once for "
        "each picture: no time where an earlier run has kept its answers.",
    ),
    Table("first", "Starting simple", (LOSS, ACCURACY), (Row("ResNet50, FC 2048-1024", "cz4042/first"),)),
    Table(
        "augmentation",
        "Augmentation study, 50 epochs",
        (TRAIN_TIME, LOSS, ACCURACY, EPOCHS),
        (
            _studied("with", "augmented", "5h 24m", "0.3561", "0.8491", "50"),
            _studied("without", "finetuned", "4h 8m 25s", "0.2764", "0.9", "50"),
        ),
        note="Train time is that of Adience, after CelebA.",
    ),
    Table(
        "celeba",
        "Pre-training on CelebA",
        (WEIGHTS, SIZE, CELEBA, ON_ADIENCE),
        (
            _pretrained("CelebA Resized ZW", "pretrained_scratch", "None", "112 x 112", "0.972", "0.6052"),
            _pretrained("CelebA Resized", "pretrained_resized", "Imagenet", "112 x 112", "0.9794", "0.6371"),
            _pretrained("CelebA", "pretrained", "Imagenet", "224 x 224", "0.9669", "0.7868"),
            replace(
                _pretrained("Baseline Adience Model", "mobilenetv2", "Imagenet", "224 x 224", "-", "0.8827"),
                sources=OF_ADIENCE,
            ),
        ),
        other=ADIENCE,
        note="Adience before any fine-tuning.",
    ),
    Table(
        "finetuning",
        "Fine-tuning",
        (RATE, CELEBA, ON_ADIENCE),
        (
            _finetuned("CelebA", "pretrained", "1e-3", "0.9669", "0.7868"),
            replace(_finetuned("CelebA-LR", "finetuned", "1e-5", "0.9669", "0.9147"), sources=OF_ADIENCE),
        ),
        other=ADIENCE,
        note="The report's CelebA figure of the second row is that of the first: it was not judged on CelebA again.",
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
        note="Keras, and so the report, counts the L2 penalty in the loss of the tuned rows; ours is without it "
        "(`penalty` in results.json).",
    ),
)
