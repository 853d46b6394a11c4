"""Checks of this machine, each with the command that fixes the problem."""

from nnunet_femur.doctor.check_result import CheckResult, Status
from nnunet_femur.doctor.examination import examine, healthy

__all__ = ["CheckResult", "Status", "examine", "healthy"]
