"""Where the faces are: the detector, cleaning a dataset, margins about faces."""
