"""Femur segmentation in CT with nnU-Net v2 and TotalSegmentator, from hospital files to a comparison of methods.

Every command of ``nnfemur`` is a function or class of this package too::

    import nnunet_femur as nf

    result = nf.convert("source", dataset_id=1)     # CTs and masks -> a raw dataset of nnU-Net
    nf.plan(1, source="totalsegmentator")           # plans, preprocessing, folds and recipe
    segmenter = nf.Segmenter("model_folder_or.zip") # loads the networks once
    femur = segmenter("ct.nrrd")                    # path, DICOM folder or SimpleITK image
    nf.review("out")                                # a page of predicted masks, the doubtful ones first
    nf.measure(femur.mask)                          # head, neck, axes, angles, lengths, volume
    nf.score(femur.mask, "reference.nrrd")          # images, arrays or paths
    nf.compare("nnUNet_results").scores             # a pandas DataFrame
    nf.export("model_folder_or.zip", "shared")      # for nnU-Net, TotalSegmentator or ONNX

Importing the package takes milliseconds: its names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.lazy_names import lazy_names
from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from nnunet_femur.baselines import baseline
    from nnunet_femur.comparison import Comparison, compare
    from nnunet_femur.conversion import ConversionResult, convert
    from nnunet_femur.dataset.environment import set_environment
    from nnunet_femur.errors import FemurError, InputError, SetupError
    from nnunet_femur.evaluation import CaseScores, score
    from nnunet_femur.findings import Finding
    from nnunet_femur.measurement import FemurMeasurements, Measurements, measure
    from nnunet_femur.model_export import ExportedModel, export
    from nnunet_femur.planning import PlannedDataset, plan
    from nnunet_femur.prediction import Femur, PredictionResult, Segmenter, predict
    from nnunet_femur.progress import Progress, TerminalProgress
    from nnunet_femur.reviewing import Review, add_corrected, review
    from nnunet_femur.selection import Ensemble, Selection, ensemble, select
    from nnunet_femur.study import StudyResult, run_study

__all__ = [
    "CaseScores",
    "Comparison",
    "ConversionResult",
    "Ensemble",
    "ExportedModel",
    "Femur",
    "FemurError",
    "FemurMeasurements",
    "Finding",
    "InputError",
    "Measurements",
    "PlannedDataset",
    "PredictionResult",
    "Progress",
    "Review",
    "Segmenter",
    "Selection",
    "SetupError",
    "StudyResult",
    "TerminalProgress",
    "__version__",
    "add_corrected",
    "baseline",
    "compare",
    "convert",
    "ensemble",
    "export",
    "measure",
    "plan",
    "predict",
    "review",
    "run_study",
    "score",
    "select",
    "set_environment",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    __all__,
    {
        "baselines": ("baseline",),
        "comparison": ("Comparison", "compare"),
        "conversion": ("ConversionResult", "convert"),
        "dataset.environment": ("set_environment",),
        "errors": ("FemurError", "InputError", "SetupError"),
        "evaluation": ("CaseScores", "score"),
        "findings": ("Finding",),
        "measurement": ("FemurMeasurements", "Measurements", "measure"),
        "model_export": ("ExportedModel", "export"),
        "planning": ("PlannedDataset", "plan"),
        "prediction": ("Femur", "PredictionResult", "Segmenter", "predict"),
        "progress": ("Progress", "TerminalProgress"),
        "reviewing": ("Review", "add_corrected", "review"),
        "selection": ("Ensemble", "Selection", "ensemble", "select"),
        "study": ("run_study", "StudyResult"),
    },
)
