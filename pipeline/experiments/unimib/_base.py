"""What UNIMIB's experiments share: age by transfer learning, "around 70'000 images of actors" (IMDB-WIKI is assumed).

Rows without a date or with several faces went: `python -m pipeline clean imdb_wiki --root DIR --limit 70000
--second-face-below -inf`, whose manifest.csv is then the root. Given the dataset's folder, they train on its raw lists.

Networks from ImageNet, L1 loss, Adam at 1e-4 (the best of SGD and Adam at 1e-4, 1e-3, 1e-2), 50 epochs. Flip, colour
jitter 0.1 in all four (the text also says 0.2), rotation by up to 30°, resized crop and affine, whose strengths are
not given: an area of 0.8 to 1, shifts of 0.1, zoom of 0.1, shear of 10° are taken. Neither the split nor the batch is
given: 80:10:10 of the images at random, and 64. The last epoch is kept: "after 50 epochs". Frozen backbones with this
augmentation run in every epoch, as theirs did; `--stages.0.views 4` runs them on four views of each picture only.
"""

from pipeline.config import Augment, Data, Experiment, Head, Model, Optimizer, RandomSplit, Regression, Stage

IMDB_WIKI = Data("imdb_wiki", split=RandomSplit(test=0.1, val=0.1, by="image"))
JITTER = {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.1}
AUGMENT = Augment(flip=0.5, rotation=30, crop=0.8, shift=0.1, zoom=0.1, shear=10, **JITTER)
SMALL = Head(units=(512, 256, 32), activation="gelu")
LARGE = Head(units=(2048, 512, 128), activation="gelu")


def experiment(network: str, head: Head, train: str) -> Experiment:
    """train: `head` (the report's frozen networks) or `all`."""
    return Experiment(
        model=Model(network, weights="imagenet", image_size=224, head=head),
        targets=(Regression("age", loss="mae", standardize=False),),
        stages=(
            Stage(
                "train",
                data=IMDB_WIKI,
                train=train,
                epochs=50,
                batch_size=64,
                optimizer=Optimizer("adam", 1e-4),
                augment=AUGMENT,
                keep="last",
            ),
        ),
    )
