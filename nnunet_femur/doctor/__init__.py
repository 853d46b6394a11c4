"""Checks of this machine, each with the command that fixes the problem."""

from nnunet_femur.doctor.examination import examine, healthy
from nnunet_femur.doctor.requirements import CheckResult, Status

__all__ = ["CheckResult", "Status", "examine", "healthy"]
