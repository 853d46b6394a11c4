"""Prediction with a trained model: a CT in, the femur's mask on the CT's own grid out."""

from nnunet_femur.prediction.batch import predict
from nnunet_femur.prediction.prediction_options import FORMATS, QUICK, Options
from nnunet_femur.prediction.results import CaseResult, PredictionResult
from nnunet_femur.prediction.segmented_femur import Femur
from nnunet_femur.prediction.segmenter import Segmenter

__all__ = ["FORMATS", "QUICK", "CaseResult", "Femur", "Options", "PredictionResult", "Segmenter", "predict"]
