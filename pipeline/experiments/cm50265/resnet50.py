"""CM50265's second model: ResNet50 from ImageNet, frozen, global average pooling, a dense branch each for age, gender.

Reported: validation gender 84 %, age 8.1 ("mean squared error", by which MAE is meant). Trained as the report's own
model, but stopped once the validation loss had risen for three epochs.
Run: make train MODEL=cm50265/resnet50 DATA_ROOT=utkface
"""

from pipeline.config import Experiment, Head, Model
from pipeline.experiments.cm50265._base import DROPOUT, L2, age, gender, stage

BRANCH = Head(units=(128, 16), dropout=DROPOUT, l2=L2)

EXPERIMENT = Experiment(
    model=Model("resnet50", weights="imagenet", image_size=128),
    targets=(age(BRANCH), gender(BRANCH)),
    stages=(stage("head", early_stopping=3),),
)
