"""AI6126's winner: SE-ResNeXt50 from ImageNet, its last stage and a head of 512-128-26 trained, six categories at once.

Reported: 17,242,394 trainable parameters; validation 66.3 %, test 70.02 % (which score is not said: results.json gives
the mean `accuracy` of the six, the mean `balanced_accuracy`, and the mean recall over all 26 classes).

Batch 128, 120 epochs, rate 0.005 after five epochs of warm-up from 0, then a cosine. At step s of S an epoch, W = 5 S:
rate(s) = 0.005 · s / W before W, then 0.005 · (1 + cos(π (s − W) / (120 S − W))) / 2. The optimizer is not named; the
rate suggests SGD with momentum 0.9. Weight decay 0.0008: ours is decoupled, w ← w − rate · 0.0008 · w a step, where
PyTorch's SGD adds 0.0008 · w to the gradient, which momentum then multiplies up to tenfold.
Label smoothing 0.01 is PyTorch's, ε / K for each class; the report's formula, 0.5 ε for each, is no distribution. Class
weights 5000 / (220 N) are those of `balanced`, but for a factor that the weighted mean cancels.
A picture is squeezed to 224², its middle of 200×160 enlarged to 224², then changed: shift, zoom and shear leave black.
Run: make train MODEL=ai6126/winner DATA_ROOT=fashion
"""

from pipeline.config import Augment, Classes, Data, Experiment, Head, Model, Optimizer, Schedule, Stage

CATEGORIES = ("pattern", "sleeve", "length", "neckline", "material", "fit")
JITTER = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.3}

EXPERIMENT = Experiment(
    model=Model("se_resnext50", weights="imagenet", image_size=224, head=Head(units=(512, 128), dropout=(0.5, 0.5))),
    targets=tuple(Classes(name, classes=(), label_smoothing=0.01, balanced=True) for name in CATEGORIES),
    stages=(
        Stage(
            "train",
            data=Data("fashion", centre=(200 / 224, 160 / 224)),
            train=("layer4", "head"),
            epochs=120,
            batch_size=128,
            optimizer=Optimizer("sgd", 0.005, weight_decay=8e-4, schedule=Schedule("cosine", warmup=5)),
            augment=Augment(flip=0.5, rotation=15, shift=0.1, zoom=0.5, shear=15, fill=0, **JITTER),
            keep="val_mean_accuracy",
        ),
    ),
)
