"""TotalSegmentator's command line, compared with the installed program."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nnunet_femur.baselines import stock_program as stock_arguments
from nnunet_femur.baselines.stock_program import StockArguments, spelling


class _CapturedError(Exception):
    pass


def _stock_parser(monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    """The parser of the installed TotalSegmentator, which builds it when it is run."""
    from totalsegmentator.bin import TotalSegmentator

    found: list[argparse.ArgumentParser] = []

    def capture(parser: argparse.ArgumentParser, *_: object) -> None:
        found.append(parser)
        raise _CapturedError

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", capture)
        with pytest.raises(_CapturedError):
            TotalSegmentator.main()
    return found[0]


def _options(parser: argparse.ArgumentParser) -> dict[frozenset[str], object]:
    return {frozenset(action.option_strings): action.nargs for action in parser._actions}


def test_options_are_those_of_the_installed_program(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = _options(stock_arguments._parser())
    assert ours == _options(_stock_parser(monkeypatch))
    assert len(ours) > 40


class TestParse:
    @pytest.mark.parametrize(
        "given",
        [
            ("-i", "ct.nrrd", "-o", "out"),
            ("-i=ct.nrrd", "-o=out"),
            ("-ict.nrrd", "-oout"),
            ("-rs", "femur_left", "femur_right", "-i", "ct.nrrd", "-s", "-o", "out"),
            ("-i", "other.nii.gz", "-o", "elsewhere", "-i", "ct.nrrd", "-o", "out"),
        ],
    )
    def test_input_and_output(self, given: tuple[str, ...]) -> None:
        arguments = StockArguments.parse(given)
        assert arguments is not None
        assert (arguments.input, arguments.output) == (Path("ct.nrrd"), Path("out"))
        assert arguments.given == given

    @pytest.mark.parametrize("given", [("-ml",), ("--ml",), ("--m",)])
    def test_multilabel(self, given: tuple[str, ...]) -> None:
        # "--m" is ambiguous with --model_size for the stock program.
        arguments = StockArguments.parse(given)
        assert (arguments is not None and arguments.multilabel) == (given != ("--m",))

    def test_abbreviations(self) -> None:
        arguments = StockArguments.parse(("--fastes", "--rep", "run.json", "--dev=cpu", "--output", "nifti"))
        assert arguments is not None
        assert arguments.values == {
            "fastest": True,
            "report": "run.json",
            "device": "cpu",
            "output_type": ["nifti"],
        }

    @pytest.mark.parametrize(
        ("given", "kinds"),
        [
            ((), ("nifti",)),
            (("-ot", "dicom_seg"), ("dicom_seg",)),
            (("-ot", "nifti,dicom_seg"), ("nifti", "dicom_seg")),
            (("-ot", "nifti", "dicom_seg"), ("nifti", "dicom_seg")),
        ],
    )
    def test_output_types(self, given: tuple[str, ...], kinds: tuple[str, ...]) -> None:
        arguments = StockArguments.parse(given)
        assert arguments is not None
        assert arguments.output_types == kinds

    @pytest.mark.parametrize("given", [("-h",), ("--help",), ("--version",), ("-lt",), ("-lc",), ("-lc", "total_mr")])
    def test_what_only_prints(self, given: tuple[str, ...]) -> None:
        arguments = StockArguments.parse(given)
        assert arguments is not None
        assert arguments.prints_only

    @pytest.mark.parametrize("given", [("-i",), ("-rs", "-o", "out"), ("--stat",), ("-i", "-o"), ("-i", "a", "--")])
    def test_what_the_stock_program_refuses(self, given: tuple[str, ...]) -> None:
        assert StockArguments.parse(given) is None

    def test_an_option_of_a_later_version_passes(self) -> None:
        arguments = StockArguments.parse(("-i", "ct.nrrd", "--sharper", "3", "-o", "out"))
        assert arguments is not None
        assert arguments.output == Path("out")
        assert arguments.with_paths(Path("/a.nii"), Path("/b"))[2:4] == ["--sharper", "3"]


class TestWithPaths:
    def test_the_stock_program_takes_the_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given = ("-i=ct.nrrd", "-rs", "femur_left", "--fast", "-o", "o ut", "-s")
        arguments = StockArguments.parse(given)
        assert arguments is not None
        parser = _stock_parser(monkeypatch)
        typed, passed = (
            vars(parser.parse_args(list(each))) for each in (given, arguments.with_paths(Path("/t/ct.nii"), Path("/o")))
        )
        assert (passed["input"], passed["output"]) == (Path("/t/ct.nii"), Path("/o"))
        assert {key for key in typed if typed[key] != passed[key]} == {"input", "output"}
        assert passed["statistics"] is True


def test_spelling() -> None:
    assert [spelling(name) for name in ("ml", "roi_subset", "list_tasks", "i")] == [
        "--ml",
        "--roi_subset",
        "--list-tasks",
        "-i",
    ]
