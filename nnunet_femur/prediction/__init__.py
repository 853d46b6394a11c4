"""A trained model on new CTs: canonical orientation in, the CT's own grid out."""

from nnunet_femur.prediction.batch import Outcome, predict
from nnunet_femur.prediction.options import FORMATS, QUICK, Options

__all__ = ["FORMATS", "QUICK", "Options", "Outcome", "predict"]
