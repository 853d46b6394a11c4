"""Convert the femurs of TotalSegmentator's public dataset, with its own split.

A case contains both femurs of a subject. Subjects with a femur that is missing or smaller than --min-volume-ml are left
out. The column `split` of meta.csv determines the sets.

Example: python dataset_conversion/Dataset002_TotalSegmentatorFemur.py ~/Totalsegmentator_dataset_v201 -d 2
"""

from __future__ import annotations

from nnunet_femur.conversion.options import MIN_VOLUME_ML
from nnunet_femur.conversion.script import convert_and_print, script_parser


def main() -> None:
    """Convert the source folder of the command line into nnUNet_raw, and print the folder of the dataset."""
    parser = script_parser(__doc__, source="folder with sNNNN/ct.nii.gz and meta.csv", dataset_id=2)
    parser.add_argument(
        "--min-volume-ml",
        type=float,
        default=MIN_VOLUME_ML,
        help=f"smallest volume of each femur in ml (default: {MIN_VOLUME_ML:g}, a femoral head with its neck)",
    )
    arguments = parser.parse_args()
    convert_and_print(
        arguments,
        name="TotalSegmentatorFemur",
        layout="totalsegmentator",
        min_volume_ml=arguments.min_volume_ml,
    )


if __name__ == "__main__":
    main()
