"""UNIMIB's results: five networks, their convolutions frozen and unfrozen. It names one number."""

from pipeline.config.tables import Column, Row, Table

COLUMNS = (
    Column("Pearson", "test:age.pearson"),
    Column("Spearman", "test:age.spearman"),
    Column("MAE", "test:age.mae"),
)
NETWORKS = {
    "ResNet18": "resnet18",
    "ResNet50": "resnet50_v15",
    "ResNet152": "resnet152_v15",
    "MobileNetV3": "mobilenetv3",
    "RegNetY-128GF": "regnety_128gf",
}


def _rows(state: str, reported: dict[str, dict[str, str]]) -> tuple[Row, ...]:
    return tuple(
        Row(label, f"unimib/{network}_{state}", reported.get(label, {})) for label, network in NETWORKS.items()
    )


TABLES = (
    Table(
        "frozen",
        "Fine tuning with locked convolutional layers",
        COLUMNS,
        _rows("frozen", {"ResNet18": {"Pearson": "0.549"}}),
    ),
    Table(
        "unfrozen",
        "Fine tuning with unlocked convolutional layers",
        COLUMNS,
        _rows("unfrozen", {}),
        note='Of ResNet18 the report shows a figure and says "much better results".',
    ),
)
