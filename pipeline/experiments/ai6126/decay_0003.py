"""AI6126's weight decay study: the winner with 0.0003 instead of 0.0008.

Reported: curves; 0.0008 (`ai6126/winner`) is best.
Run: make train MODEL=ai6126/decay_0003 DATA_ROOT=fashion
"""

from dataclasses import replace

from pipeline.experiments.ai6126.winner import EXPERIMENT as WINNER

STAGE = WINNER.stages[0]
EXPERIMENT = replace(WINNER, stages=(replace(STAGE, optimizer=replace(STAGE.optimizer, weight_decay=3e-4)),))
