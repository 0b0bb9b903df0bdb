"""AI6126's dropout study, 0.5: the winner at 30 epochs.

Reported: curves; 0.5 is best.
Run: make train MODEL=ai6126/dropout_05 DATA_ROOT=fashion
"""

from pipeline.experiments.ai6126._base import at_dropout

EXPERIMENT = at_dropout(0.5)
