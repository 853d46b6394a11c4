"""Shared parts of the ``DatasetNNN_Name.py`` scripts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from nnunet_femur.conversion.conversion import convert
from nnunet_femur.errors import ending_without_traceback
from nnunet_femur.progress import TerminalProgress

if TYPE_CHECKING:
    from nnunet_femur.conversion.options import ConversionSettings


def script_parser(description: str | None, *, source: str, dataset_id: int) -> argparse.ArgumentParser:
    """Return the parser of a script, with the arguments ``source`` and ``--dataset-id``.

    Args:
        description: Docstring of the script.
        source: Help text of the argument ``source``.
        dataset_id: Default number of the dataset.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help=source)
    parser.add_argument(
        "-d", "--dataset-id", type=int, default=dataset_id, help=f"number of the dataset (default: {dataset_id})"
    )
    return parser


def convert_and_print(arguments: argparse.Namespace, *, name: str, **settings: Unpack[ConversionSettings]) -> None:
    """Convert the source of a command line into ``nnUNet_raw``, and print the result and the folder of the dataset.

    Args:
        arguments: The parsed arguments ``source`` and ``dataset_id``.
        name: Part of the dataset's name after its number.
        **settings: Options of the conversion.
    """
    with ending_without_traceback():
        result = convert(
            arguments.source, dataset_id=arguments.dataset_id, name=name, progress=TerminalProgress(), **settings
        )
    result.print()
    sys.stdout.write(f"{result.folder}\n")
