"""Femur segmentation in CT with nnU-Net v2 and TotalSegmentator, from hospital files to a comparison of methods.

Every command of ``nnfemur`` is a function or class of this package too::

    import nnunet_femur as nf

    result = nf.convert("source", dataset_id=1)     # CTs and masks -> a raw dataset of nnU-Net
    nf.plan(1, source="totalsegmentator")           # plans, preprocessing, folds and recipe
    segmenter = nf.Segmenter("model_folder_or.zip") # loads the networks once
    femur = segmenter("ct.nrrd")                    # path, DICOM folder or SimpleITK image
    nf.score(femur.mask, "reference.nrrd")          # images, arrays or paths
    nf.compare("nnUNet_results").scores             # a pandas DataFrame

Importing the package takes milliseconds: its names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nnunet_femur.version import __version__

if TYPE_CHECKING:
    from nnunet_femur.baselines import baseline
    from nnunet_femur.comparison import Comparison, compare
    from nnunet_femur.conversion import ConversionResult, convert
    from nnunet_femur.errors import FemurError, InputError, SetupError
    from nnunet_femur.evaluation import CaseScores, score
    from nnunet_femur.findings import Finding
    from nnunet_femur.planning import PlannedDataset, plan
    from nnunet_femur.prediction import Femur, PredictionResult, Segmenter, predict
    from nnunet_femur.progress import Progress, TerminalProgress
    from nnunet_femur.study import StudyResult, run_study

__all__ = [
    "CaseScores",
    "Comparison",
    "ConversionResult",
    "Femur",
    "FemurError",
    "Finding",
    "InputError",
    "PlannedDataset",
    "PredictionResult",
    "Progress",
    "Segmenter",
    "SetupError",
    "StudyResult",
    "TerminalProgress",
    "__version__",
    "baseline",
    "compare",
    "convert",
    "plan",
    "predict",
    "run_study",
    "score",
]

_HOMES = {
    "baseline": "baselines",
    "Comparison": "comparison",
    "compare": "comparison",
    "ConversionResult": "conversion",
    "convert": "conversion",
    "FemurError": "errors",
    "InputError": "errors",
    "SetupError": "errors",
    "CaseScores": "evaluation",
    "score": "evaluation",
    "Finding": "findings",
    "PlannedDataset": "planning",
    "plan": "planning",
    "Femur": "prediction",
    "PredictionResult": "prediction",
    "Segmenter": "prediction",
    "predict": "prediction",
    "Progress": "progress",
    "TerminalProgress": "progress",
    "run_study": "study",
    "StudyResult": "study",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
