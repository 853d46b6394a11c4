"""Tables as Markdown, CSV, LaTeX and JSON."""

import csv
import io
import json
import shutil
import subprocess

import pytest

from nnunet_femur.comparison.report.tables.formats import FORMATS, escaped, latex_document
from nnunet_femur.comparison.report.tables.model import GAP, Cell, Column, Row, Table, with_deviation


@pytest.fixture
def table() -> Table:
    columns = (Column("Case", unit=""), Column("Dice", "3D"), Column("HD95 (mm)", "3D", unit="mm"), Column("n"))
    best = with_deviation(0.95123456, 0.01, best=True)
    rows = (
        Row("A_1 & 50% · x|y", (Cell("c#1 ~^"), best, GAP, Cell("8", 8.0)), detail="folds 0–4"),
        Row(
            "B",
            (Cell("c2"), Cell("0.9 ± –", 0.9, published="0.957 ± 0.020"), with_deviation(2.5, None, unit="mm"), GAP),
        ),
    )
    return Table("t_1", "Scores", "Äll < of “it” $x$", columns, rows, note="± is τ ≥ 1’s {note}. \\")


def test_markdown(table):
    assert FORMATS["md"](table) == (
        "| Method | Case | 3D: Dice | 3D: HD95 (mm) | n |\n"
        "| --- | --- | ---: | ---: | ---: |\n"
        "| A_1 & 50% · x\\|y, folds 0–4 | c#1 ~^ | **0.951 ± 0.010** | – | 8 |\n"
        "| B | c2 | 0.9 ± – (published 0.957 ± 0.020) | 2.50 ± – | – |\n"
    )


def test_csv_has_full_precision_and_separate_columns(table):
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](table))))
    assert rows[0] == {
        "Method": "A_1 & 50% · x|y, folds 0–4",
        "Case": "c#1 ~^",
        "3D: Dice": "0.95123456",
        "3D: Dice, SD": "0.01",
        "3D: Dice, published": "",
        "3D: HD95 (mm)": "–",
        "n": "8",
    }
    assert rows[1]["3D: Dice, published"] == "0.957 ± 0.020"


def test_json(table):
    content = json.loads(FORMATS["json"](table))
    assert [column["title"] for column in content["columns"]] == ["Case", "3D: Dice", "3D: HD95 (mm)", "n"]
    cell = content["rows"][0]["cells"][1]
    assert (cell["value"], cell["deviation"], cell["best"]) == (0.95123456, 0.01, True)
    assert content["rows"][0]["cells"][2]["value"] is None


def test_latex_is_a_booktabs_table(table):
    text = FORMATS["tex"](table)
    assert r"A\_1 \& 50\% $\cdot$ x\textbar{}y, folds 0--4 & c\#1 \textasciitilde{}\textasciicircum{} &" in text
    assert r"\textbf{0.951 $\pm$ 0.010}" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert r"\multicolumn{2}{c}{3D}" in text
    assert r"\cmidrule(lr){3-4}" in text


def test_a_row_that_does_not_fill_its_table_is_refused(table):
    with pytest.raises(ValueError, match="t: "):
        Table("t", "", "", table.columns, (Row("A", table.rows[0].cells[:3]),))


def test_special_characters_of_latex_are_escaped():
    assert escaped("a_b") == r"a\_b"
    assert escaped(r"\{}") == r"\textbackslash{}\{\}"


@pytest.mark.parametrize("rows", [2, 90])
def test_latex_compiles(table, tmp_path, rows):
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex here: apt-get install texlive-latex-base texlive-latex-recommended")
    long = Table(table.name, table.section, table.title, table.columns, table.rows * (rows // 2), table.note)
    (tmp_path / f"{table.name}.tex").write_text(FORMATS["tex"](long), encoding="utf-8")
    (tmp_path / "all.tex").write_text(latex_document([long]), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
    # A character that a font lacks is only a line in the log.
    assert "Missing character" not in (tmp_path / "all.log").read_text(errors="replace")
