"""Group 91's tables: three networks before and after tuning."""

from pipeline.config.tables import Column, Row, Table

TEST, TRAIN, EPOCHS = (
    Column("test MSE", "test:age.mse"),
    Column("train MSE", "train:age_loss"),
    Column("epochs", "epochs"),
)
MORE = (Column("test MAE", "test:age.mae"), Column("test R²", "test:age.r2"))

TABLES = (
    Table(
        "before",
        "Before tuning",
        (TEST, *MORE),
        (
            Row("ResNet-18", "group91/resnet18", {"test MSE": "152.0446"}),
            Row("EfficientNet-B0", "group91/efficientnet_b0", {"test MSE": "146.4457"}),
            Row("Swin Transformer V2", "group91/swinv2_tiny", {"test MSE": "183.4713"}),
        ),
    ),
    Table(
        "tuned",
        "Hyperparameter tuning",
        (TRAIN, TEST, EPOCHS, *MORE),
        (
            Row(
                "ResNet-18 (1e-3, Adam, 512)",
                "group91/resnet18_tuned",
                {"train MSE": "115.3515", "test MSE": "147.0566", "epochs": "12"},
            ),
            Row(
                "EfficientNet-b0 (1e-4, AdamW, 128)",
                "group91/efficientnet_b0_tuned",
                {"train MSE": "91.5581", "test MSE": "133.3530", "epochs": "19"},
            ),
            Row(
                "Swin Transformer V2 (1e-3, AdamW, 64)",
                "group91/swinv2_tiny_tuned",
                {"train MSE": "117.6851", "test MSE": "173.0199", "epochs": "23"},
            ),
        ),
        note="Train MSE is the mean over the kept epoch, while the network learned.",
    ),
)
