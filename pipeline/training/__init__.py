"""From an experiment to a run: the network, losses, the loop over epochs, checkpoints."""
