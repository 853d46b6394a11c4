"""Formats of a table: Markdown, CSV, LaTeX and JSON.

To add a format, write a function that returns the table as text, and add it to :data:`FORMATS` by file ending.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nnunet_femur.comparison.report.tables.model import Cell, Column, Row, Table

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "τ": r"$\tau$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "→": r"$\to$",
    "°": r"\textdegree{}",
    "²": r"$^2$",
    "³": r"$^3$",
    "“": "``",
    "”": "''",
    "’": "'",
    "\u00a0": "~",
}


def markdown(table: Table) -> str:
    """Return the table in GitHub's Markdown, without title and note."""
    heads = [table.stub, *(column.title for column in table.columns)]
    lines = [heads, ["---", *("---" if column.unit == "" else "---:" for column in table.columns)]]
    lines += [[f"*{row.label}*" if row.apart else row.label, *map(_marked, row.cells)] for row in table.rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _marked(cell: Cell) -> str:
    text = f"**{cell.text}**" if cell.best else cell.text
    return f"{text} (published {cell.published})" if cell.published else text


def comma_separated(table: Table) -> str:
    """Return the table as CSV in full precision, with separate columns for deviations and published figures."""
    parts = list(_parts(table))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([table.stub, *(title for title, _, _ in parts)])
    for row in table.rows:
        writer.writerow([row.label, *(take(row.cells[place]) for _, place, take in parts)])
    return file.getvalue()


def _parts(table: Table) -> Iterator[tuple[str, int, Callable[[Cell], str]]]:
    for place, column in enumerate(table.columns):
        cells = [row.cells[place] for row in table.rows]
        yield column.title, place, _value
        if any(cell.deviation is not None for cell in cells):
            yield f"{column.title}, SD", place, _deviation
        if any(cell.published for cell in cells):
            yield f"{column.title}, published", place, _published


def _value(cell: Cell) -> str:
    return cell.text if cell.value is None else f"{cell.value:.10g}"


def _deviation(cell: Cell) -> str:
    return "" if cell.deviation is None else f"{cell.deviation:.10g}"


def _published(cell: Cell) -> str:
    return cell.published


def as_json(table: Table) -> str:
    """Return the table as JSON, with all attributes of columns and cells."""
    content: dict[str, Any] = {
        "title": table.title,
        "note": table.note,
        "columns": [{"title": column.title, **asdict(column)} for column in table.columns],
        "rows": [{"label": row.label, **asdict(row)} for row in table.rows],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def latex(table: Table) -> str:
    r"""Return the table as a LaTeX ``table`` for ``\input``. It needs the packages booktabs, graphicx and longtable."""
    columns = table.columns
    align = "l" + "".join("l" if column.unit == "" else "r" for column in columns)
    body = [_head(table), r"\midrule", *map(_latex_row, table.compared)]
    if table.apart:
        body += [r"\midrule", *map(_latex_row, table.apart)]
    title = f"{table.section}: {table.title}" if table.place == "main" else table.title
    caption = rf"\caption{{{escaped(title)}. {escaped(table.note)}}}"
    label = rf"\label{{tab:{re.sub('[^a-z0-9]+', '-', table.name)}}}"
    # A table of cases may be longer than a page; a table of methods may be wider than one.
    if len(table.rows) > _PAGE_ROWS:
        head = body.pop(0) + "\n" + body.pop(0)
        inner = "\n".join([r"\toprule", head, r"\endhead", r"\bottomrule", r"\endfoot", *body])
        return (
            f"{{\\tiny\\setlength{{\\tabcolsep}}{{2pt}}\n\\begin{{longtable}}{{{align}}}\n{caption}{label}\\\\\n"
            f"{inner}\n\\end{{longtable}}}}\n"
        )
    inner = "\n".join([r"\toprule", *body, r"\bottomrule"])
    tabular = f"\\begin{{tabular}}{{@{{}}{align}@{{}}}}\n{inner}\n\\end{{tabular}}"
    return (
        f"\\begin{{table}}[htbp]\n\\centering\n{caption}\n{label}\n\\footnotesize\n"
        f"\\sbox0{{%\n{tabular}}}%\n"
        "\\ifdim\\wd0>\\linewidth\\resizebox{\\linewidth}{!}{\\usebox0}\\else\\usebox0\\fi\n\\end{table}\n"
    )


_PAGE_ROWS = 40
"""Rows that fit on a page."""


def _head(table: Table) -> str:
    lines = []
    if any(column.above for column in table.columns):
        spans, rules, place = [""], [], 2
        for above, width in table.headings:
            spans.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(above)}}}" if above else "&" * (width - 1))
            if above:
                rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
            place += width
        lines += [" & ".join(spans) + r" \\", " ".join(rules)]
    heads = [_heading(column) for column in table.columns]
    lines.append(" & ".join([escaped(table.stub), *heads]) + r" \\")
    return "\n".join(lines)


def _heading(column: Column) -> str:
    align = "l" if column.unit == "" else "r"
    return rf"\multicolumn{{1}}{{{align}}}{{{escaped(column.heading)}}}"


def _latex_row(row: Row) -> str:
    return " & ".join([escaped(row.label), *map(_latex_cell, row.cells)]) + r" \\"


def _latex_cell(cell: Cell) -> str:
    text = rf"\textbf{{{escaped(cell.text)}}}" if cell.best else escaped(cell.text)
    return rf"{text} {{\scriptsize[{escaped(cell.published)}]}}" if cell.published else text


def escaped(text: str) -> str:
    r"""Return text with LaTeX's special characters, and characters that its fonts lack, replaced by commands.

    Example:
        >>> print(escaped("Dice > 95 % ± 1"))
        Dice \textgreater{} 95 \% $\pm$ 1
    """
    return "".join(_LATEX.get(letter, letter) for letter in text)


def latex_document(tables: Sequence[Table]) -> str:
    """Return a document that shows all tables, to be compiled in the folder of their files."""
    inputs = "\n".join(rf"\input{{{table.name}}}\clearpage" for table in tables)
    return (
        "\\documentclass[a4paper,landscape]{article}\n\\usepackage[margin=18mm]{geometry}\n\\usepackage[utf8]{inputenc}\n"
        "\\usepackage[T1]{fontenc}\n\\usepackage{booktabs,graphicx,longtable}\n"
        f"\\begin{{document}}\n{inputs}\n\\end{{document}}\n"
    )


FORMATS: dict[str, Callable[[Table], str]] = {
    "md": markdown,
    "csv": comma_separated,
    "tex": latex,
    "json": as_json,
}
"""The formats by file ending."""
