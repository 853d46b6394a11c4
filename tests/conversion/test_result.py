"""What a person reads after a conversion."""

from __future__ import annotations

from nnunet_femur.conversion import convert


def test_sets_findings_and_what_was_done(drop, raw, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    drop.add_patients()
    drop.write("GoldStandard/L101_GS.nrrd", drop.mask() * 2)
    convert(drop.folder, dataset_id=1, raw=raw).print()
    printed = capsys.readouterr().out
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if "│" in line]
    assert ["train", "4", "2", "2"] in cells
    assert any(row[:3] == ["note", "mask-label-2", "1"] and row[3].startswith("GoldStandard/L101") for row in cells)
    assert printed.splitlines()[-1] == "6 cases converted."
