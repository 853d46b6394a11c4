"""Conversion of hospital files into a raw dataset of nnU-Net.

The public functions are :func:`convert` and :func:`draw_dataset`. Modules in the order of the data's way:

- `layouts` finds the cases of a source folder, `assignments` applies the user's patients and test cases, `checks`
  examines headers, masks and duplicates; `source_cases` combines them. `cases` defines cases and layouts.
- `voxels` reads a case and converts it to the form of the dataset; `casework` does so for one case in a worker.
- `splits` assigns patients to sets and folds, by the `apportionment` of strata.
- `staging` builds the dataset and moves it to its place; `case_record` and `dataset_record` describe it.
- `conversion` calls all of these by the `options`; `result` is its result; `qc` and `qc_drawing` draw the dataset.
- `script` contains the shared parts of the ``DatasetNNN_Name.py`` scripts.
"""

from __future__ import annotations

from nnunet_femur.conversion.conversion import convert
from nnunet_femur.conversion.options import ConversionOptions
from nnunet_femur.conversion.qc import draw_dataset
from nnunet_femur.conversion.result import CaseVolumes, ConversionResult, ConvertedCase
from nnunet_femur.conversion.splits import Split

__all__ = [
    "CaseVolumes",
    "ConversionOptions",
    "ConversionResult",
    "ConvertedCase",
    "Split",
    "convert",
    "draw_dataset",
]
