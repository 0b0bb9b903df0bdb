"""How good a run is, and what is in a dataset: results, comparisons, figures, the model card, the data page."""
