"""Equipment for tests and demonstrations: procedural femur phantoms with exact masks, and dummy weights.

Dummy weights have the shape and the folder layout of TotalSegmentator's models, and are trained on phantoms in minutes.
With them, every command runs offline through the real code of TotalSegmentator and nnU-Net. They are not
TotalSegmentator's weights and were not trained on patients. Their folder, plans and ``dataset.json`` state this.

Modules in the order of the data's way:

- `shapes`, `leg`, `anatomy`: signed distances, the tissues of a leg, and its random proportions.
- `analytic_femur`, `analytic_truth`, `voxelising`: a femur of simple shapes with exactly known measurements, and masks
  of closed surfaces on any grid.
- `phantoms`: a CT with its mask, and a cohort of them in a source folder.
- `dummy_plans`, `dummy_training`, `dummy_weights`: plans, training and files of a dummy model.
"""

from nnunet_femur.testing.analytic_femur import AnalyticFemur
from nnunet_femur.testing.analytic_truth import true_measurements
from nnunet_femur.testing.dummy_plans import Case, phantom_cases
from nnunet_femur.testing.dummy_weights import MODELS, write_dummy_weights
from nnunet_femur.testing.phantoms import PADDINGS_HU, Phantom, make_phantom, write_phantoms
from nnunet_femur.testing.voxelising import grid_around, moved, rotation_xyz, voxelise

__all__ = [
    "MODELS",
    "PADDINGS_HU",
    "AnalyticFemur",
    "Case",
    "Phantom",
    "grid_around",
    "make_phantom",
    "moved",
    "phantom_cases",
    "rotation_xyz",
    "true_measurements",
    "voxelise",
    "write_dummy_weights",
    "write_phantoms",
]
