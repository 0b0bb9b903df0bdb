"""What AI6126's dropout study shares: the winner at 30 epochs."""

from dataclasses import replace

from pipeline.config import Experiment
from pipeline.experiments.ai6126.winner import EXPERIMENT as WINNER


def at_dropout(rate: float) -> Experiment:
    """Both dense layers at the same rate."""
    head = replace(WINNER.model.head, dropout=(rate, rate))
    return replace(WINNER, model=replace(WINNER.model, head=head), stages=(replace(WINNER.stages[0], epochs=30),))
