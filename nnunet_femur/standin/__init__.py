"""Stand-in weights: models of TotalSegmentator's shape and layout, trained in minutes on phantoms.

They let every path run offline through TotalSegmentator's and nnU-Net's real code. They know nothing of patients, and
say so in their folder, their plans and their dataset's description.
"""

from nnunet_femur.standin.cases import Case, phantom_cases
from nnunet_femur.standin.writing import MODELS, write_standin

__all__ = ["MODELS", "Case", "phantom_cases", "write_standin"]
