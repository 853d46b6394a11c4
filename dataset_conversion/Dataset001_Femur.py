"""The study's femurs for nnU-Net: CTs in Images/, masks in GoldStandard/, ids like L442 at the start of the names.

Example: python dataset_conversion/Dataset001_Femur.py ~/drop -d 1
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nnunet_femur.conversion import Conversion, IntakeOptions
from nnunet_femur.dataset.environment import require
from nnunet_femur.errors import ending_without_traceback
from nnunet_femur.progress import TerminalProgress


def main() -> None:
    """Convert the folder that the command line names into nnUNet_raw, and print the dataset's folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with Images/ and GoldStandard/")
    parser.add_argument("-d", "--dataset-id", type=int, default=1, help="nnU-Net's dataset number (default: 1)")
    arguments = parser.parse_args()
    with ending_without_traceback():
        conversion = Conversion(
            source=arguments.source,
            dataset_id=arguments.dataset_id,
            raw_folder=require("nnUNet_raw"),
            intake=IntakeOptions(layout="pairs"),
        )
        outcome = conversion.run(progress=TerminalProgress())
    outcome.print()
    sys.stdout.write(f"{outcome.folder}\n")


if __name__ == "__main__":
    main()
