"""AI6126's batch study: the winner with batches of 64.

Reported: curves; 128 and 256 do well, 128 (`ai6126/winner`) best.
Run: make train MODEL=ai6126/batch_64 DATA_ROOT=fashion
"""

from dataclasses import replace

from pipeline.experiments.ai6126.winner import EXPERIMENT as WINNER

EXPERIMENT = replace(WINNER, stages=(replace(WINNER.stages[0], batch_size=64),))
