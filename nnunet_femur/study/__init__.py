"""The whole study as a workflow: one file says what is compared, one command runs what is missing."""

from nnunet_femur.study.checks import read_study
from nnunet_femur.study.config import Method, Study
from nnunet_femur.study.forecast import print_plan
from nnunet_femur.study.presets import PRESETS, preset_text, write_preset
from nnunet_femur.study.run import Machine, print_scores, run_study

__all__ = [
    "PRESETS",
    "Machine",
    "Method",
    "Study",
    "preset_text",
    "print_plan",
    "print_scores",
    "read_study",
    "run_study",
    "write_preset",
]
