"""What CZ4042's experiments share: gender on Adience's aligned, frontal lists, a random 80:20 split of its images.

The split leaks (a person's photographs stand on both sides) and there is no third part: the report's "test" rows are
what it followed in training, and the last epoch is what it kept. Both as they did it.
"""

from pipeline.config import Binary, Data, Experiment, Head, Model, Optimizer, RandomSplit, Stage

ADIENCE = Data("adience", view="frontal", pictures="aligned", split=RandomSplit(test=0.2, val=0.0, by="image"))
GENDER = (Binary("gender"),)


def head(*units: int, dropout: tuple[float, ...] = (), l2: float = 0.0) -> Head:
    """Average pooling, batch norm after it and after every dense layer: so many parameters the report counts."""
    return Head(units=units, batch_norm=True, dropout=dropout, l2=l2)


def mobilenetv2(top: Head, weights: str = "imagenet", image_size: int = 224) -> Model:
    return Model("mobilenetv2", weights=weights, image_size=image_size, head=top)


def stage(name: str, train: str, epochs: int, batch_size: int, rate: float, data: Data = ADIENCE) -> Stage:
    """Adam at a constant rate; the last epoch is kept."""
    return Stage(
        name,
        data=data,
        train=train,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=Optimizer("adam", rate),
        keep="last",
    )


def compared(model: Model, train: str) -> Experiment:
    """The settings of the comparison of three networks: 20 epochs, rate 1e-3, batch 64."""
    return Experiment(model=model, targets=GENDER, stages=(stage("train", train, 20, 64, 1e-3),))


def celeba(name: str, test: float, rate: float) -> Stage:
    """20 epochs of CelebA in batches of 128, random split, the backbone frozen."""
    data = Data("celeba", split=RandomSplit(test=test, val=0.0, by="image"))
    return stage(name, "head", 20, 128, rate, data)
