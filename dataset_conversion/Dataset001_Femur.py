"""Convert the study's femurs: CTs in Images/, masks in GoldStandard/, names that start with an id such as L442.

Example: python dataset_conversion/Dataset001_Femur.py ~/source -d 1
"""

from __future__ import annotations

from nnunet_femur.conversion.script import convert_and_print, script_parser


def main() -> None:
    """Convert the source folder of the command line into nnUNet_raw, and print the folder of the dataset."""
    parser = script_parser(__doc__, source="folder with Images/ and GoldStandard/", dataset_id=1)
    convert_and_print(parser.parse_args(), name="Femur", layout="pairs")


if __name__ == "__main__":
    main()
