"""Which layout a source has, and how that is said."""

from __future__ import annotations

import pytest

from nnunet_femur.conversion.layouts import find_cases
from nnunet_femur.conversion.options import IntakeOptions
from nnunet_femur.errors import InputError

AUTO = IntakeOptions()


def _layout(source, options=AUTO):
    found = find_cases(source, options)
    note = next((finding.problem for finding in found.findings if finding.code == "layout"), None)
    return found.layout, note


class TestAuto:
    def test_pairs_even_beside_a_table(self, drop):
        drop.add("L1")
        (drop.folder / "cohort.csv").write_text("image,mask\nImages/L1_CT.nrrd,GoldStandard/L1_GS.nrrd\n")
        assert _layout(drop.folder) == (
            "pairs",
            "was read in the layout pairs, since it holds the folders Images and GoldStandard.",
        )

    def test_pairs_of_other_names(self, drop):
        drop.add("L1")
        (drop.folder / "Images").rename(drop.folder / "CT")
        (drop.folder / "GoldStandard").rename(drop.folder / "seg")
        layout, note = _layout(drop.folder, IntakeOptions(images_folder="ct", masks_folder="seg"))
        assert layout == "pairs"
        assert "the folders ct and seg" in note

    def test_subjects(self, drop):
        (drop.folder / "s1/segmentations").mkdir(parents=True)
        drop.write("s1/ct.nii.gz", drop.image())
        for side in ("left", "right"):
            drop.write(f"s1/segmentations/femur_{side}.nii.gz", drop.mask())
        (drop.folder / "Images").rmdir()
        layout, note = _layout(drop.folder)
        assert layout == "totalsegmentator"
        assert "s1 for one, hold ct.nii.gz" in note

    def test_a_table_in_a_folder_or_by_itself(self, drop):
        drop.add("L1")
        for name in ("Images", "GoldStandard"):
            (drop.folder / name).rename(drop.folder / f"my {name}")
        table = drop.folder / "list.csv"
        table.write_text("image,mask\nmy Images/L1_CT.nrrd,my GoldStandard/L1_GS.nrrd\n")
        (drop.folder / "other.csv").write_text("name,age\n")
        assert _layout(drop.folder)[0] == _layout(table)[0] == "csv"
        assert "the table list.csv" in _layout(drop.folder)[1]

    def test_nothing_is_known(self, tmp_path):
        (tmp_path / "data").mkdir()
        with pytest.raises(InputError, match="has no folder Images, only data"):
            find_cases(tmp_path, AUTO)


class TestSaid:
    def test_there_is_no_note(self, drop):
        assert _layout(drop.add("L1").folder, IntakeOptions(layout="pairs")) == ("pairs", None)

    @pytest.mark.parametrize("layout", ["auto", "pairs", "csv", "totalsegmentator"])
    def test_no_source(self, tmp_path, layout):
        with pytest.raises(InputError, match="there is no such folder or table"):
            find_cases(tmp_path / "nowhere", IntakeOptions(layout=layout))

    @pytest.mark.parametrize("layout", ["pairs", "totalsegmentator"])
    def test_a_file_is_no_folder(self, tmp_path, layout):
        (tmp_path / "x.csv").write_text("image,mask\n")
        with pytest.raises(InputError, match="is no folder"):
            find_cases(tmp_path / "x.csv", IntakeOptions(layout=layout))

    def test_two_tables(self, tmp_path):
        for name in ("a.csv", "b.csv"):
            (tmp_path / name).write_text("image,mask\n")
        with pytest.raises(InputError, match=r"2 tables of cases \(a\.csv, b\.csv\)"):
            find_cases(tmp_path, IntakeOptions(layout="csv"))


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"layout": "bids"}, "is no layout"),
            ({"id_pattern": "("}, "is no regular expression"),
            ({"labels": (0, 1)}, "0 is background"),
            ({"padding_hu": 500}, "no value of air"),
            ({"min_volume_ml": float("nan")}, "no volume"),
            ({"min_volume_ml": -1}, "no volume"),
        ],
    )
    def test_what_cannot_be_meant(self, options, words):
        with pytest.raises(InputError, match=words):
            IntakeOptions(**options)
