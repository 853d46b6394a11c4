"""The femurs of TotalSegmentator's public dataset for nnU-Net: subjects with both femurs in view, in its own split.

A case holds both femurs of a subject. Left out are subjects with a femur that is missing or cut to less than
--min-volume-ml. The column `split` of meta.csv is honoured.

Example: python dataset_conversion/Dataset002_TotalSegmentatorFemur.py ~/Totalsegmentator_dataset_v201 -d 2
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nnunet_femur.conversion import Conversion, IntakeOptions
from nnunet_femur.conversion.options import MIN_VOLUME_ML
from nnunet_femur.dataset.environment import require
from nnunet_femur.errors import ending_without_traceback
from nnunet_femur.progress import TerminalProgress


def main() -> None:
    """Convert the folder that the command line names into nnUNet_raw, and print the dataset's folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with sNNNN/ct.nii.gz and meta.csv")
    parser.add_argument("-d", "--dataset-id", type=int, default=2, help="nnU-Net's dataset number (default: 2)")
    parser.add_argument(
        "--min-volume-ml",
        type=float,
        default=MIN_VOLUME_ML,
        help=f"least volume of each femur in millilitres (default: {MIN_VOLUME_ML:g}, a femoral head with its neck)",
    )
    arguments = parser.parse_args()
    with ending_without_traceback():
        conversion = Conversion(
            source=arguments.source,
            dataset_id=arguments.dataset_id,
            raw_folder=require("nnUNet_raw"),
            name="TotalSegmentatorFemur",
            intake=IntakeOptions(layout="totalsegmentator", min_volume_ml=arguments.min_volume_ml),
        )
        outcome = conversion.run(progress=TerminalProgress())
    outcome.print()
    sys.stdout.write(f"{outcome.folder}\n")


if __name__ == "__main__":
    main()
