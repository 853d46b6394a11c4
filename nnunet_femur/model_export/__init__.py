"""Trained models for other programs: stock nnU-Net, TotalSegmentator and ONNX Runtime.

- `exporting`: the export: files, parity check, model card, checksums.
- `trained_networks`: a model's networks and what is needed to describe them.
- `targets`: the interface of a format, and the table of formats.
- `stock_model`, `stock_target`, `stock_prediction`: nnU-Net's own form of a model, its zip file, and its prediction.
- `totalsegmentator_target`: a weights folder of TotalSegmentator.
- `onnx_target`, `onnx_networks`, `onnx_description`, `runner/`: networks in ONNX, their description, and programs that
  run them, which are copied into the export.
- `parity`: the same CT by the model and by its export.
- `model_card`, `card_facts`: the model card, and the facts in it.

A package named `export` would hide the function :func:`nnunet_femur.export`.
"""

from nnunet_femur.model_export.exporting import ExportedModel, export
from nnunet_femur.model_export.targets import TARGETS

__all__ = ["TARGETS", "ExportedModel", "export"]
