"""Detection of the layout of a source."""

from __future__ import annotations

from typing import get_type_hints

import pytest

from nnunet_femur.conversion.layouts import LAYOUTS, find_cases
from nnunet_femur.conversion.options import ConversionOptions, ConversionSettings
from tests.refusing import names, refused

AUTO = ConversionOptions()


def _layout(source, options=AUTO):
    found = find_cases(source, options)
    note = next((finding.problem for finding in found.findings if finding.code == "layout"), None)
    return found.layout, note


class TestAuto:
    def test_pairs_even_beside_a_table(self, hospital):
        hospital.add("L1")
        (hospital.folder / "cohort.csv").write_text("image,mask\nImages/L1_CT.nrrd,GoldStandard/L1_GS.nrrd\n")
        layout, note = _layout(hospital.folder)
        assert layout == "pairs"
        assert names(note, "Images", "GoldStandard")

    def test_pairs_of_other_names(self, hospital):
        hospital.add("L1")
        (hospital.folder / "Images").rename(hospital.folder / "CT")
        (hospital.folder / "GoldStandard").rename(hospital.folder / "seg")
        layout, note = _layout(hospital.folder, ConversionOptions(images_folder="ct", masks_folder="seg"))
        assert layout == "pairs"
        assert names(note, "ct", "seg")

    def test_subjects(self, hospital):
        (hospital.folder / "s1/segmentations").mkdir(parents=True)
        hospital.write("s1/ct.nii.gz", hospital.image())
        for side in ("left", "right"):
            hospital.write(f"s1/segmentations/femur_{side}.nii.gz", hospital.mask())
        (hospital.folder / "Images").rmdir()
        layout, note = _layout(hospital.folder)
        assert layout == "totalsegmentator"
        assert "s1" in note

    def test_a_table_in_a_folder_or_by_itself(self, hospital):
        hospital.add("L1")
        for name in ("Images", "GoldStandard"):
            (hospital.folder / name).rename(hospital.folder / f"my {name}")
        table = hospital.folder / "list.csv"
        table.write_text("image,mask\nmy Images/L1_CT.nrrd,my GoldStandard/L1_GS.nrrd\n")
        (hospital.folder / "other.csv").write_text("name,age\n")
        assert _layout(hospital.folder)[0] == _layout(table)[0] == "csv"
        assert "list.csv" in _layout(hospital.folder)[1]

    def test_nothing_is_known(self, tmp_path):
        (tmp_path / "data").mkdir()
        with refused("not-found", tmp_path, "Images", "data"):
            find_cases(tmp_path, AUTO)


class TestSaid:
    def test_there_is_no_note(self, hospital):
        assert _layout(hospital.add("L1").folder, ConversionOptions(layout="pairs")) == ("pairs", None)

    @pytest.mark.parametrize("layout", ["auto", "pairs", "csv", "totalsegmentator"])
    def test_no_source(self, tmp_path, layout):
        with refused("not-found", tmp_path / "nowhere"):
            find_cases(tmp_path / "nowhere", ConversionOptions(layout=layout))

    @pytest.mark.parametrize("layout", ["pairs", "totalsegmentator"])
    def test_a_file_is_no_folder(self, tmp_path, layout):
        (tmp_path / "x.csv").write_text("image,mask\n")
        with refused("invalid-option", tmp_path / "x.csv", layout):
            find_cases(tmp_path / "x.csv", ConversionOptions(layout=layout))

    def test_two_tables(self, tmp_path):
        for name in ("a.csv", "b.csv"):
            (tmp_path / name).write_text("image,mask\n")
        with refused("duplicate-case", "a.csv, b.csv"):
            find_cases(tmp_path, ConversionOptions(layout="csv"))


class TestOptions:
    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("id_pattern", "("),
            ("labels", (0, 1)),
            ("padding_hu", 500),
            ("trust", "nobody"),
            ("min_volume_ml", float("nan")),
            ("min_volume_ml", -1),
        ],
    )
    def test_values_that_are_not_allowed(self, option, value):
        with refused("invalid-option", option):
            ConversionOptions(**{option: value})

    def test_an_unknown_layout(self, tmp_path):
        with refused("invalid-option", "bids", *LAYOUTS):
            find_cases(tmp_path, ConversionOptions(layout="bids"))

    def test_keyword_arguments_are_the_options(self):
        assert get_type_hints(ConversionSettings) == get_type_hints(ConversionOptions)
