"""What will work on this machine, and what to do about the rest."""

from nnunet_femur.doctor.examination import examine, healthy
from nnunet_femur.doctor.requirements import Finding, Status

__all__ = ["Finding", "Status", "examine", "healthy"]
