"""CM50265's greyscale study, both: the age and the gender branch see the picture in grey.

Reported: learning curves. Neither branch in grey is `cm50265/shared_trunk`.
Run: make train MODEL=cm50265/grey_both DATA_ROOT=utkface
"""

from dataclasses import replace

from pipeline.experiments.cm50265.shared_trunk import EXPERIMENT as COLOUR

EXPERIMENT = replace(COLOUR, targets=tuple(replace(target, view="grey") for target in COLOUR.targets))
