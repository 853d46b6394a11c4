"""Pages as Markdown and LaTeX."""

import shutil
import subprocess

import pytest

from nnunet_femur.comparison.supplement.pages import (
    Bullets,
    Grid,
    Heading,
    Page,
    Paragraph,
    latex,
    latex_document,
    markdown,
    to_fill_in,
)

PAGE = Page(
    "card_a",
    "Model card: U-Net · 3d_fullres",
    (
        Heading("Data & scores"),
        Paragraph(f"`Dataset001_Femur`: 95 % of 3 cases,\n  p < 0.05. {to_fill_in('scanners')}"),
        Bullets(("one | two", "three")),
        Grid(("name", "value"), (("a|b", "**not known**"), ("Dice", "0.9 ± 0.1")), (0.3, 0.6)),
    ),
)


def test_markdown():
    assert markdown(PAGE) == (
        "# Model card: U-Net · 3d_fullres\n\n"
        "## Data & scores\n\n"
        "`Dataset001_Femur`: 95 % of 3 cases, p < 0.05. **[to be filled in: scanners]**\n\n"
        "- one | two\n- three\n\n"
        "| name | value |\n| --- | --- |\n| a\\|b | **not known** |\n| Dice | 0.9 ± 0.1 |\n"
    )


def test_latex_escapes_and_marks():
    text = latex(PAGE)
    assert r"\subsection*{Data \& scores}" in text
    assert r"\texttt{Dataset001\_\allowbreak{}Femur}: 95 \% of 3 cases, p \textless{} 0.05." in text
    assert r"\textbf{[to be filled in: scanners]}" in text
    assert r"a\textbar{}b & \textbf{not known} \\" in text


def test_gaps_are_counted():
    assert PAGE.gaps == 1


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_document_compiles(tmp_path):
    (tmp_path / "card_a.tex").write_text(latex(PAGE))
    (tmp_path / "all.tex").write_text(latex_document([PAGE]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
