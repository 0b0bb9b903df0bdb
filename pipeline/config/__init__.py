"""What an experiment is: plain frozen dataclasses, standard library only.

A value that cannot be right is refused here, so that a Python file, a JSON file and the command line get the same
answer. What a target *does* is found by its kind under `pipeline/targets/`; this file only says what it is.
"""

from pipeline.config.checks import MEAN as MEAN
from pipeline.config.checks import NO_EXTRA_KEYS as NO_EXTRA_KEYS
from pipeline.config.data import Cleaning as Cleaning
from pipeline.config.data import Data as Data
from pipeline.config.data import FoldSplit as FoldSplit
from pipeline.config.data import OfficialSplit as OfficialSplit
from pipeline.config.data import RandomSplit as RandomSplit
from pipeline.config.data import Split as Split
from pipeline.config.model import Activation as Activation
from pipeline.config.model import Convolution as Convolution
from pipeline.config.model import Head as Head
from pipeline.config.model import Model as Model
from pipeline.config.model import View as View
from pipeline.config.targets import Binary as Binary
from pipeline.config.targets import Classes as Classes
from pipeline.config.targets import Expectation as Expectation
from pipeline.config.targets import Ordinal as Ordinal
from pipeline.config.targets import Regression as Regression
from pipeline.config.targets import Target as Target
from pipeline.config.training import Augment as Augment
from pipeline.config.training import Cache as Cache
from pipeline.config.training import Experiment as Experiment
from pipeline.config.training import Optimizer as Optimizer
from pipeline.config.training import Schedule as Schedule
from pipeline.config.training import Stage as Stage
