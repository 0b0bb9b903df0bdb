"""CM50265's greyscale study, gender only: the gender branch sees the picture in grey, the age branch in colour.

Reported: learning curves. Neither branch in grey is `cm50265/shared_trunk`. The backbone is called twice, once a view.
Run: make train MODEL=cm50265/grey_gender DATA_ROOT=utkface
"""

from dataclasses import replace

from pipeline.experiments.cm50265.shared_trunk import EXPERIMENT as COLOUR

AGE, GENDER = COLOUR.targets
EXPERIMENT = replace(COLOUR, targets=(AGE, replace(GENDER, view="grey")))
