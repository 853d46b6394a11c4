"""The end of a study as nnU-Net makes it: ensembles across methods, the best configuration, its postprocessing.

- `candidates`: trained models and ensembles in nnU-Net's layout, and the entries that this part writes.
- `ensembles`: the mean of the probabilities of several models.
- `best_configuration`: the best candidate on validation cases, and postprocessing chosen on them.

All of them are folders ``A__B__C`` beside those of trained models, so the comparison shows them as methods.
"""

from nnunet_femur.selection.best_configuration import Selection, select
from nnunet_femur.selection.ensembles import Ensemble, ensemble

__all__ = ["Ensemble", "Selection", "ensemble", "select"]
