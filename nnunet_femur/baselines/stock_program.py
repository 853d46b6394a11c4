"""The user's own TotalSegmentator: its command line, and the program on PATH after our launcher."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nnunet_femur.processes import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType


# Options of TotalSegmentator 2.18 by the number of values they take, each with all its spellings. A test compares them
# with the installed TotalSegmentator; options of a later version are passed on unread.
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
    """Arguments of the stock TotalSegmentator, as typed and as parsed.

    Attributes:
        given: The arguments as typed.
        values: Value of every option that was given, by the option's last spelling without dashes and with
            underscores, as in ``list_tasks``: True for a flag, a text, a list of texts.
    """

    given: tuple[str, ...]
    values: dict[str, Any]

    @classmethod
    def parse(cls, given: Sequence[str]) -> StockArguments | None:
        """Parse arguments as the stock program does.

        Args:
            given: The arguments as typed, without the program's name.

        Returns:
            The arguments; None if the stock program would refuse them.
        """
        if "--" in given:
            return None  # it has only options
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
        """Return the arguments as typed, followed by another CT and another output.

        The stock program uses the last value of an option.

        Args:
            ct: The CT.
            output: Folder or file to write.
        """
        return [*self.given, "-i", os.fspath(ct), "-o", os.fspath(output)]


class _UsageError(Exception):
    """Error about arguments that the stock program refuses too."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise an error instead of ending the process."""
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


PROGRAM = "TotalSegmentator"
"""Name of the stock program, and of our launcher."""

LAUNCHER_MARK = b"nnunet_femur launcher"
"""Text near the start of every launcher of this package, which identifies those of other installations too."""

_PATIENCE_S = 5
"""Time in seconds that the stock program has to end after each signal."""


class Stopped(KeyboardInterrupt):
    """A signal to end the process was received.

    Attributes:
        status: Exit status that a shell expects after the signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.status = 128 + number


def find_stock() -> list[str]:
    """Return the command that starts the stock TotalSegmentator, without its arguments.

    It is the first program of its name on PATH that is not a launcher of this package: the one that the user would
    start without this package. If PATH has none, as after ``uv run nnfemur env``, it is the one of this Python.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in [*folders, sysconfig.get_path("scripts")]:
        found = shutil.which(PROGRAM, path=folder or os.curdir)
        if found and not _is_launcher(Path(found)):
            return [os.path.abspath(found)]  # noqa: PTH100  # a link stays a link: its name finds its Python
    return [sys.executable, "-P", "-m", "totalsegmentator.bin.TotalSegmentator"]


def _is_launcher(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            return LAUNCHER_MARK in file.read(1024)
    except OSError:
        return False


def become_stock(arguments: Sequence[str]) -> int:
    """Replace this process by the stock program; on Windows, run it.

    Args:
        arguments: Its arguments.

    Returns:
        On Windows, the exit status of the stock program. Elsewhere the function does not return.
    """
    if sys.platform == "win32":
        # There execv starts another process and ends this one, and the shell does not wait for the other.
        return run_stock(arguments)
    command = [*find_stock(), *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    return os.execv(command[0], command)  # noqa: S606


def run_stock(arguments: Sequence[str]) -> int:
    """Run the stock program in the same terminal, and return its exit status as a shell would.

    Args:
        arguments: Its arguments.

    Raises:
        Stopped: This process received a signal to end; the stock program has ended by then.
    """
    with subprocess.Popen(
        [*find_stock(), *arguments],
        preexec_fn=die_with_parent if sys.platform != "win32" else None,  # noqa: PLW1509
    ) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt as reason:
            _end(process, interrupted=not isinstance(reason, Stopped))
            raise
    return status if status >= 0 else 128 - status


def _end(process: subprocess.Popen[bytes], *, interrupted: bool) -> None:
    """Let a process clean up and end; kill it if it does not.

    Args:
        process: The process.
        interrupted: The terminal has already interrupted it, as it interrupts all its programs at Ctrl-C.
    """
    for step, number in enumerate(_ending_signals()):
        if step or not interrupted:
            process.send_signal(number)
        try:
            process.wait(_PATIENCE_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            continue
        return


def _ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a process, the gentlest first. Windows can only end it at once."""
    if sys.platform == "win32":
        return (signal.SIGTERM, signal.SIGTERM)
    # SIGINT comes first, since SIGTERM ends Python programs before they remove their temporary files.
    return (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


@contextmanager
def ending_in_order() -> Iterator[None]:
    """Let signals that end a process raise :class:`Stopped` in this block, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        """Raise the signal as an exception."""
        raise Stopped(number)

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Signals that are ignored stay ignored, as SIGHUP under nohup.
    before = {
        number: handler for number in numbers if (handler := signal.getsignal(number)) not in (signal.SIG_IGN, None)
    }
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
