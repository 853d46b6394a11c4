"""Tutorials: pages of Markdown that run as notebooks, and their pages with outputs on the site.

``docs/tutorials/*.md`` are the sources. jupytext reads them: a block of Python is a cell, a block of bash is a cell of
the shell, and the text between them is a cell of text. Running them takes minutes, and building the site may take only
seconds, so both are separate::

    uv run python docs/site/tutorial_pages.py            # runs all tutorials, or those named
    uv run mkdocs build --strict                         # shows what they printed

The finished notebooks are in ``build/tutorials``. A page whose notebook is missing or older than its source is shown
without outputs, and tells the reader so.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

REPOSITORY = Path(__file__).parents[2]
SOURCES = REPOSITORY / "docs" / "tutorials"
"""Folder of the tutorials: ``NAME.md``."""

FINISHED = REPOSITORY / "build" / "tutorials"
"""Folder of the notebooks with outputs: ``NAME.ipynb``. Git ignores it."""

SECONDS_PER_CELL = 500
WIDTH = 96
"""Characters of a printed line on a page."""

SOURCE_HASH = "source_sha256"
"""Key of a notebook's metadata with the hash of the source that it was made from."""

NOT_RUN = "!!! note\n    This page was built without running its code, so the outputs are missing.\n\n"
OPENING = "In a clone of the repository, `uv run --with jupyterlab jupyter lab` opens it."
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

ONE_MACHINE = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "nnUNet_compile": "f",
    "NO_COLOR": "1",
    "COLUMNS": "100",
}
"""Settings of the run for few cores: waiting threads sleep, and nothing is compiled."""


ORDER = ("forty-femurs", "new-ct", "comparing-methods")
"""Order in which a reader meets the tutorials; others follow by name."""


def names() -> list[str]:
    """Return the names of the tutorials in the order of the pages."""
    found = sorted(path.stem for path in SOURCES.glob("*.md"))
    return sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def notebook(name: str) -> NotebookNode:
    """Return a tutorial as a notebook without outputs."""
    import jupytext

    book = jupytext.read(SOURCES / f"{name}.md", fmt="md")
    book.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}, SOURCE_HASH: _source_hash(name)}
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"  # by default random: the same source gives the same file
    return book


def run(name: str, folder: Path, *, check: str = "") -> NotebookNode:
    """Run a tutorial in an empty folder, and keep the notebook with its outputs in :data:`FINISHED`.

    Args:
        name: Name of the tutorial.
        folder: Folder that the cells run in.
        check: Python code that runs after the last cell, with the tutorial's variables, and is not kept.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed; the message contains the cell and its output.
    """
    import nbformat
    from nbclient import NotebookClient

    book = notebook(name)
    length = len(book.cells)
    if check:
        book.cells.append(nbformat.v4.new_code_cell(check))
    # The shell's cells find the commands of this environment, as after `uv run jupyter lab`.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    client = NotebookClient(
        book, timeout=SECONDS_PER_CELL, kernel_name="python3", resources={"metadata": {"path": folder}}
    )
    client.execute(env={**os.environ, **ONE_MACHINE, "PATH": path})
    del book.cells[length:]
    for cell in book.cells:
        cell.get("metadata", {}).pop("execution", None)  # times of the run
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
        _replace(cell.get("outputs", []), {str(folder): "~/tutorial", str(REPOSITORY): "~/nnunet_femur"})
    FINISHED.mkdir(parents=True, exist_ok=True)
    partial = FINISHED / f".{name}.{os.getpid()}"
    nbformat.write(book, partial)
    partial.replace(FINISHED / f"{name}.ipynb")
    return book


def pages() -> Iterator[tuple[str, str | bytes]]:
    """Yield the files of the site's tutorials: path below ``docs``, and content.

    Each tutorial is a page ``tutorials/NAME.md``, its pictures, and the notebook ``tutorials/NAME.ipynb``.
    """
    import nbformat

    for name in names():
        book, finished = _finished(name)
        yield f"tutorials/{name}.ipynb", nbformat.writes(book)
        text, pictures = _markdown(book, name)
        title, _, rest = text.partition("\n")
        download = f"[Download this page as a notebook]({name}.ipynb){{ download }}. {OPENING}\n\n"
        yield f"tutorials/{name}.md", f"{title}\n\n{download}{'' if finished else NOT_RUN}{rest.lstrip()}"
        for file, content in pictures.items():
            yield f"tutorials/{file}", content


def _replace(outputs: list[Any], places: dict[str, str]) -> None:
    """Replace the folders of this machine in outputs by names that a reader understands."""
    for output in outputs:
        for texts in (output, output.get("data", {})):
            for key in ("text", "text/plain", "text/html"):
                for folder, shown in places.items() if key in texts else ():
                    texts[key] = texts[key].replace(folder, shown)


def _source_hash(name: str) -> str:
    return hashlib.sha256((SOURCES / f"{name}.md").read_bytes()).hexdigest()


def _finished(name: str) -> tuple[NotebookNode, bool]:
    """Return the notebook with its outputs and True, or if it was not run since its last change, without and False."""
    import nbformat

    file = FINISHED / f"{name}.ipynb"
    if file.is_file():
        book = nbformat.read(file, as_version=4)
        if book.metadata.get(SOURCE_HASH) == _source_hash(name):
            return book, True
    return notebook(name), False


def _markdown(book: NotebookNode, name: str) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by the path that the Markdown names."""
    from nbconvert import MarkdownExporter

    book = _for_readers(book)
    exporter = MarkdownExporter()
    text, resources = exporter.from_notebook_node(
        book, {"output_files_dir": f"{name}_files", "unique_key": name, "metadata": {"name": name}}
    )
    # A cell of the shell is a block of bash, as in the source.
    text = re.sub(r"^```(?:python|bash)\n%%bash\n", "```bash\n", text, flags=re.MULTILINE)
    text = text.replace("![png](", "![Picture that the code above has drawn](")
    return text.strip() + "\n", resources["outputs"]


def _for_readers(book: NotebookNode) -> NotebookNode:
    """Return a copy whose outputs suit a page: printed text in a block of its own, tables without inline style."""
    import copy

    import nbformat

    shown = copy.deepcopy(book)
    for cell in shown.cells:
        if cell.cell_type != "code":
            continue
        kept = []
        for output in _joined(cell.outputs):
            text = _printed(output)
            if text is None:
                kept.append(output)
            elif text.strip():
                fence = nbformat.v4.new_output("display_data", {"text/markdown": f"```text\n{text.rstrip()}\n```\n"})
                kept.append(fence)
        cell.outputs = kept
    return shown


def _joined(outputs: list[Any]) -> list[Any]:
    """Return outputs without standard error (bars of progress), each run of printed texts as one, without colours."""
    from nbconvert.filters import strip_ansi

    joined: list[Any] = []
    for output in outputs:
        if output.output_type == "stream" and output.name == "stderr":
            continue
        if output.output_type == "stream" and joined and joined[-1].output_type == "stream":
            joined[-1].text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            # A line that redraws itself leaves its last state.
            lines = strip_ansi(output.text).split("\n")
            output.text = "\n".join(line.rsplit("\r", 1)[-1].rstrip() for line in lines)
    return joined


def _printed(output: Any) -> str | None:
    """Return the text of an output that is only text; None for tables and pictures, whose markup is kept."""
    if output.output_type == "stream":
        return "\n".join(_wrapped(line) for line in output.text.split("\n"))
    data = output.get("data", {})
    for kind in ("text/html", "text/markdown", "image/png", "image/svg+xml"):
        if kind in data:
            if kind == "text/html":
                data[kind] = _without_style(data[kind])
            return None
    return data.get("text/plain", "")


def _wrapped(line: str) -> str:
    """Return a long sentence in several lines; a line of a table stays as it is."""
    if len(line) <= WIDTH or "   " in line:
        return line
    return textwrap.fill(line, WIDTH, break_long_words=False)


def _without_style(html: str) -> str:
    """Return a table of pandas without its own style, so that the site's applies, also in the dark."""
    bare = re.sub(r"<style.*?</style>\s*", "", html, flags=re.DOTALL)
    style = re.compile(r' (?:border|class|style|halign|valign)="[^"]*"')
    return re.sub(r"<(?:table|tr|th|td)\b[^>]*>", lambda tag: style.sub("", tag[0]), bare)


def main() -> None:
    """Run tutorials from the command line."""
    parser = argparse.ArgumentParser(description="Run tutorials, and keep them with their outputs in build/tutorials.")
    parser.add_argument("names", nargs="*", default=names(), metavar="NAME", help="tutorials; by default all")
    for name in parser.parse_args().names:
        start = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix=f"tutorial-{name}-"))
        try:
            run(name, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}: {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
