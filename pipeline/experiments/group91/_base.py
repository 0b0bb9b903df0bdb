"""What Group 91's experiments share: age from 32,769 cleaned pictures of IMDB-WIKI at 224×224.

Divided 80:10:10 within every age, images drawn at random (persons are on both sides: it leaks). Channels are normalised
by the mean and standard deviation of the training set. MSE loss, no augmentation, networks from random weights, the
epoch with the lowest validation loss kept, early stopping (after how many epochs is not said: 5 are taken).

Its 40,000 pictures were cleaned by InsightFace; ours are by MTCNN: `python -m pipeline clean imdb_wiki --root DIR
--limit 40000`, whose manifest.csv is then the root (DATA_ROOT=runs/data/imdb_wiki/manifest.csv, or `reproduce group91
--root imdb_wiki=…`). Given the dataset's folder, they train on its raw lists.
"""

from pipeline.config import Data, Experiment, Head, Model, Optimizer, RandomSplit, Regression, Stage

IMDB_WIKI = Data("imdb_wiki", split=RandomSplit(test=0.1, val=0.1, by="image", stratify="age"))
AGE = (Regression("age", loss="mse", standardize=False),)


def experiment(network: str, head: Head, optimizer: Optimizer, epochs: int, batch_size: int) -> Experiment:
    """Everything trains. epochs: the most that it may take."""
    return Experiment(
        model=Model(network, weights="none", image_size=224, head=head, channel_statistics=True),
        targets=AGE,
        stages=(
            Stage(
                "train",
                data=IMDB_WIKI,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=optimizer,
                early_stopping=5,
            ),
        ),
    )
