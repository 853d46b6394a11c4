"""A femur mask in millimetres, degrees and Hounsfield units.

The modules, in the order in which data passes through them:

- `batch_measuring`: :func:`measure`, for many masks. It uses `batch_inputs` (masks and their CTs) and `mask_measuring`
  (all femurs of one mask), which uses `mask_femurs`, `separation` and `side_checks`.
- `measuring`: the measurements of one femur, by `shape`, which finds its `landmarks`; `quantities` is the table of all
  quantities of the shape, each a `quantity`.
- `density`: HU, density and cortex of one femur in its CT.
- `surfaces`: surfaces for models.
- `femur_measurements`, `measurements`: results of one femur and of a batch; `output` writes and draws them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_femur.lazy_names import lazy_names

if TYPE_CHECKING:
    from nnunet_femur.measurement.batch_measuring import measure
    from nnunet_femur.measurement.density.calibration import Calibration, read_calibration
    from nnunet_femur.measurement.density.ct_quantities import CT_QUANTITIES
    from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
    from nnunet_femur.measurement.measurements import Measurements
    from nnunet_femur.measurement.quantities import QUANTITIES
    from nnunet_femur.measurement.quantity import Quantity
    from nnunet_femur.measurement.surfaces.model_surfaces import ModelSurface, model_surface, write_model_surface
    from nnunet_femur.measurement.surfaces.triangle_quality import MeshQuality, mesh_quality

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
        "density.calibration": ("Calibration", "read_calibration"),
        "density.ct_quantities": ("CT_QUANTITIES",),
        "femur_measurements": ("FemurMeasurements", "Missing"),
        "measurements": ("Measurements",),
        "surfaces.triangle_quality": ("MeshQuality", "mesh_quality"),
        "surfaces.model_surfaces": ("ModelSurface", "model_surface", "write_model_surface"),
        "quantities": ("QUANTITIES",),
        "quantity": ("Quantity",),
    },
)
