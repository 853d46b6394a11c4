"""A femur mask in millimetres, degrees and Hounsfield units.

The modules, in the order in which data passes through them:

- `batch_measuring`: :func:`measure`, for many masks. It uses `batch_inputs` (masks and their CTs) and
  `mask_measuring` (all femurs of one mask), which uses `mask_femurs`, `ct_on_mask`, `separation` and `side_checks`.
- `measuring`: the measurements of one femur, by `anatomy` (landmarks) and `quantities` (the table of all quantities).
- `ct_measuring`: HU, density and cortex of one femur in its CT, by `bone_parts`, `density` with `calibration`, and
  `cortex` with `cortex_edges`; `unmeasured` excludes metal and padding, and `ct_quantities` is the table.
- `model_surfaces`: surfaces for models, by `remeshing`, `bisection`, `mask_fit` and `surface_distance`; their quality
  by `triangle_quality` and `self_intersections`; their files in a batch by `surface_files`.
- `femur_measurements`, `measurements`: results of one femur and of a batch, written by `measurement_tables` (CSV,
  JSON), `measurement_report` (terminal), `slicer_markups` (landmarks for 3D Slicer) and `landmark_picture`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.lazy_names import lazy_names

if TYPE_CHECKING:
    from nnunet_femur.measurement.batch_measuring import measure
    from nnunet_femur.measurement.calibration import Calibration, read_calibration
    from nnunet_femur.measurement.ct_quantities import CT_QUANTITIES
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
    from nnunet_femur.measurement.measurements import Measurements
    from nnunet_femur.measurement.model_surfaces import ModelSurface, model_surface, write_model_surface
    from nnunet_femur.measurement.quantities import QUANTITIES, Quantity
    from nnunet_femur.measurement.triangle_quality import MeshQuality, mesh_quality

__all__ = [
    "CT_QUANTITIES",
    "QUANTITIES",
    "Calibration",
    "FemurMeasurements",
    "Measurements",
    "MeshQuality",
    "Missing",
    "ModelSurface",
    "Quantity",
    "measure",
    "mesh_quality",
    "model_surface",
    "read_calibration",
    "write_model_surface",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    __all__,
    {
        "batch_measuring": ("measure",),
        "calibration": ("Calibration", "read_calibration"),
        "ct_quantities": ("CT_QUANTITIES",),
        "femur_measurements": ("FemurMeasurements", "Missing"),
        "measurements": ("Measurements",),
        "triangle_quality": ("MeshQuality", "mesh_quality"),
        "model_surfaces": ("ModelSurface", "model_surface", "write_model_surface"),
        "quantities": ("QUANTITIES", "Quantity"),
    },
)
