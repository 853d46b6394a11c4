"""The stock TotalSegmentator's command line, understood without loading TotalSegmentator."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

# Options of TotalSegmentator 2.18 by the number of values they take, each with all its spellings. A test compares them
# with the installed TotalSegmentator; options of a later version pass through unread.
_FLAGS = (
    *("-h --help", "--version", "-lt --list-tasks"),
    *("-ml --ml", "-f --fast", "-ff --fastest", "-sl --save_lowres", "-p --preview", "-rc --robust_crop"),
    "--higher_order_resampling_LEGACY --high_order_resampling_LEGACY",
    "-ho --higher_order_resampling --high_order_resampling",
    *("-r --radiomics", "-sii --stats_include_incomplete", "-sx --statistics_extra", "-bs --body_seg"),
    *("-fs --force_split", "-ss --skip_saving", "-ndm --no_derived_masks", "-v1o --v1_order"),
    *("-q --quiet", "-v --verbose", "--debug"),
)
_ONE_VALUE = (
    *("-i", "-o", "-nr --nr_thr_resamp", "-ro --resampling_order", "-ns --nr_thr_saving", "-t --nora_tag"),
    *("-ta --task", "-ms --model_size", "-rp --report", "-sa --stats_aggregation", "-cp --crop_path", "-d --device"),
    *("-sp --save_probabilities", "-l --license_number", "--test"),
)
_OPTIONAL_VALUE = ("-s --statistics", "-rmb --remove_small_blobs", "-lc --list-classes")
_SEVERAL_VALUES = ("-ot --output_type", "-rs --roi_subset", "-rsr --roi_subset_robust")

_PRINTS_ONLY = {"help", "version", "list_tasks", "list_classes"}


@dataclass(frozen=True)
class StockArguments:
    """Arguments of the stock TotalSegmentator, as typed and as understood.

    Attributes:
        given: The arguments as typed.
        values: Value of every option that was given, by the option's last spelling without dashes and with
            underscores, as in ``list_tasks``: True for a flag, a text, a list of texts.
    """

    given: tuple[str, ...]
    values: dict[str, Any]

    @classmethod
    def parse(cls, given: Sequence[str]) -> StockArguments | None:
        """Understand arguments as the stock program does.

        Args:
            given: The arguments as typed, without the program's name.

        Returns:
            The arguments; None if the stock program would refuse them.
        """
        if "--" in given:
            return None  # it has no arguments but options
        try:
            values, _ = _parser().parse_known_args(given)
        except (_UsageError, argparse.ArgumentError):
            return None
        return cls(tuple(given), {name: value for name, value in vars(values).items() if value is not None})

    @property
    def prints_only(self) -> bool:
        """True for help, version and lists, which need neither input nor output."""
        return bool(_PRINTS_ONLY & self.values.keys())

    @property
    def input(self) -> Path | None:
        """The CT; None if it was not given."""
        return Path(self.values["i"]) if "i" in self.values else None

    @property
    def output(self) -> Path | None:
        """Folder of masks, or the file of all classes; None if it was not given."""
        return Path(self.values["o"]) if "o" in self.values else None

    @property
    def report(self) -> Path | None:
        """The run report; None if it was not given."""
        return Path(self.values["report"]) if "report" in self.values else None

    @property
    def multilabel(self) -> bool:
        """True if all classes go into one file."""
        return "ml" in self.values

    @property
    def output_types(self) -> tuple[str, ...]:
        """Kinds of files that are written: "nifti", "dicom_rtstruct", "dicom_seg"."""
        given = self.values.get("output_type", ["nifti"])
        return tuple(kind for text in given for kind in text.split(","))

    def with_paths(self, ct: Path, output: Path) -> list[str]:
        """Return the arguments as typed, with another CT and another output behind them.

        The stock program takes the last value of an option.

        Args:
            ct: The CT.
            output: Folder or file to write.
        """
        return [*self.given, "-i", os.fspath(ct), "-o", os.fspath(output)]


class _UsageError(Exception):
    """Arguments that the stock program refuses too."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False)
    kinds: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
        (_FLAGS, {"action": "store_const", "const": True}),
        (_ONE_VALUE, {}),
        (_OPTIONAL_VALUE, {"nargs": "?", "const": True}),
        (_SEVERAL_VALUES, {"nargs": "+"}),
    )
    for options, settings in kinds:
        for spellings in options:
            names = spellings.split()
            parser.add_argument(*names, dest=names[-1].lstrip("-").replace("-", "_"), **settings)
    return parser


def spelling(name: str) -> str:
    """Return the longest spelling of an option, as it is documented.

    Args:
        name: The option's name in :attr:`StockArguments.values`.
    """
    action = next(action for action in _parser()._actions if action.dest == name)  # noqa: SLF001
    return max(action.option_strings, key=len)
