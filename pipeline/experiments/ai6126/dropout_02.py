"""AI6126's dropout study, 0.2: the winner at 30 epochs with dropout 0.2 instead of 0.5.

Reported: curves; 0.5 is best.
Run: make train MODEL=ai6126/dropout_02 DATA_ROOT=fashion
"""

from pipeline.experiments.ai6126._base import at_dropout

EXPERIMENT = at_dropout(0.2)
