"""Results of many femurs: a sequence, a data frame, and files that are whole or not written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from nnunet_femur.measurement.femur_measurements import FemurMeasurements, Missing
from nnunet_femur.measurement.measurements import Measurements, file_names, is_table
from nnunet_femur.measurement.output.view_drawing import ViewDrawing
from nnunet_femur.measurement.quantities import QUANTITIES
from tests.measurement.known_femur import VALUES, measurements
from tests.refusing import refused

BAD = FemurMeasurements("L2", "left", "id", {}, dict.fromkeys(QUANTITIES, Missing("unreadable", "L2: cut off.")))


@pytest.fixture
def two() -> Measurements:
    return Measurements((measurements(), BAD), {"L2": "L2.nrrd: cut off."})


class TestMeasurements:
    def test_is_a_sequence(self, two: Measurements) -> None:
        assert len(two) == 2
        assert [femur.case for femur in two] == ["R1", "L2"]
        assert two[-1] is BAD
        assert two[:1] == (two[0],)
        assert repr(two) == "Measurements(2 femurs, 1 not read)"
        assert not two.complete
        assert two.keys == tuple(QUANTITIES)

    def test_frame_has_numbers_and_gaps(self, two: Measurements) -> None:
        frame = two.to_frame()
        assert frame["volume_ml"].tolist()[0] == 512.3
        assert math.isnan(frame["volume_ml"][1])
        assert frame["offset_mm"].isna().all()
        assert frame["head_center_mm_lps_z"].dtype == float
        assert frame["error"].tolist() == ["", "L2.nrrd: cut off."]

    def test_html_names_the_errors(self) -> None:
        html = Measurements((BAD,), {"L2": "<L2>: cut off."})._repr_html_()
        assert "&lt;L2&gt;: cut off." in html
        assert "<L2>" not in html

    def test_html_shows_pictures_of_few_femurs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ViewDrawing, "bone", lambda *_: None)
        one, three = Measurements((measurements("a&b"),)), Measurements((measurements(),) * 3)
        assert one._repr_html_().count("data:image/png;base64,iVBOR") == 1
        assert 'alt="a&amp;b"' in one._repr_html_()
        assert "<img" not in three._repr_html_()

    def test_without_femurs(self, tmp_path: Path) -> None:
        none = Measurements(())
        none.save(tmp_path / "none.json")
        none.save(tmp_path / "none.csv")
        assert json.loads((tmp_path / "none.json").read_text()) == []
        assert none.to_frame().empty


class TestSave:
    def test_csv_can_be_read_by_pandas(self, two: Measurements, tmp_path: Path) -> None:
        two.save(tmp_path / "new" / "two.csv")
        frame = pd.read_csv(tmp_path / "new" / "two.csv")
        assert frame["case"].tolist() == ["R1", "L2"]
        assert frame["mldfa_deg"][0] == VALUES["mldfa_deg"]
        assert frame["mldfa_deg"].isna().tolist() == [False, True]

    def test_json_is_a_list_of_objects(self, two: Measurements, tmp_path: Path) -> None:
        two.save(str(tmp_path / "two.JSON"))
        records = json.loads((tmp_path / "two.JSON").read_text(encoding="utf-8"))
        assert [record["case"] for record in records] == ["R1", "L2"]
        assert records[0].keys() == records[1].keys()
        assert records[0]["head_center_mm_lps"] == [46.0, -8.0, 425.0]
        assert records[1]["missing"]["volume_ml"]["code"] == "unreadable"

    def test_replaces_an_earlier_file(self, two: Measurements, tmp_path: Path) -> None:
        path = tmp_path / "two.csv"
        path.write_text("old")
        two.save(path)
        assert path.read_text().startswith("case,side,")
        assert [each.name for each in tmp_path.iterdir()] == ["two.csv"]

    @pytest.mark.parametrize("name", ["two.xlsx", "two", "two.mrk.json"])
    def test_refuses_other_files(self, two: Measurements, tmp_path: Path, name: str) -> None:
        with refused("invalid-name", name):
            two.save(tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_of_a_folder_that_is_a_file(self, two: Measurements, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with refused("cannot-write", "file"):
            two.save(tmp_path / "file" / "two.csv")


class TestNames:
    def test_of_files(self) -> None:
        sides = [("left", "label"), ("right", "label"), ("right", "shape"), ("unknown", ""), ("unknown", "")]
        femurs = [FemurMeasurements("P1", *each, {}, {}) for each in sides]
        assert file_names(femurs) == ["P1_left", "P1_right", "P1_right_2", "P1", "P1_2"]

    def test_of_tables_and_folders(self, tmp_path: Path) -> None:
        (tmp_path / "odd.csv").mkdir()
        assert is_table(tmp_path / "a.JSON")
        assert not is_table(tmp_path / "odd.csv")
        assert not is_table(Path("run.3"))
        with refused("invalid-name", "a.xlsx"):
            is_table(tmp_path / "a.xlsx")
