"""docs/performance.md and the command that measures its sections."""

from __future__ import annotations

import subprocess
import sys

import performance
import pytest

TABLE = "| a | b |\n|---|---:|\n| x | 1 |"


class TestPage:
    def test_has_the_markers_of_every_section_once(self) -> None:
        text = performance.PAGE.read_text(encoding="utf-8")
        for name in performance.SECTIONS:
            begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
            assert text.count(begin) == text.count(end) == 1, name
            assert text.index(begin) < text.index(end), name

    def test_every_command_is_a_benchmark(self) -> None:
        for section in performance.SECTIONS.values():
            assert (performance.BENCHMARKS / section.command.split()[0]).is_file()


class TestMarkdown:
    def test_tables_captions_and_lists_are_kept(self) -> None:
        printed = f"2 cores, load 0.1\n\n**One**, seconds:\n\n{TABLE}\nsaved\n- twice as fast\n- half the memory\n"
        expected = f"**One**, seconds:\n\n{TABLE}\n\n- twice as fast\n- half the memory"
        assert performance.markdown_of(printed) == expected

    def test_two_tables_stay_apart(self) -> None:
        assert performance.markdown_of(f"{TABLE}\n\n{TABLE}\n") == f"{TABLE}\n\n{TABLE}"

    def test_text_without_a_table_is_code(self) -> None:
        assert performance.markdown_of("a  1 s\nb  2 s\n") == "```text\na  1 s\nb  2 s\n```"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Return a page with the sections `good` and `bad`, whose benchmarks print a table and fail."""
    (tmp_path / "good.py").write_text(f"import sys; print({TABLE!r}); print(sys.argv[1:], file=sys.stderr)")
    (tmp_path / "bad.py").write_text("print('| never |'); raise SystemExit(3)")
    monkeypatch.setattr(performance, "BENCHMARKS", tmp_path)
    sections = {name: performance.Section(f"{name}.py --rounds 2", 1) for name in ("good", "bad")}
    monkeypatch.setattr(performance, "SECTIONS", sections)
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- begin {name} -->\nold {name}\n<!-- end {name} -->\n" for name in sections))
    return page


class TestMain:
    def test_a_section_gets_table_command_and_date(self, page, monkeypatch) -> None:
        monkeypatch.setattr(sys, "argv", ["performance.py", "--page", str(page), "--only", "good"])
        performance.main()
        text = page.read_text()
        assert f"<!-- begin good -->\n{TABLE}\n\n`benchmarks/good.py --rounds 2`; " in text
        assert "old good" not in text
        assert "old bad" in text

    def test_only_what_is_asked_for_is_resumed(self, page, monkeypatch, capfd) -> None:
        sections = {"good": performance.Section("good.py --rounds 2", 1, resumable=True)}
        monkeypatch.setattr(performance, "SECTIONS", sections)
        for options in ((), ("--resume",)):
            monkeypatch.setattr(sys, "argv", ["performance.py", "--page", str(page), *options])
            performance.main()
            assert ("'--resume'" in capfd.readouterr().err) == bool(options)
            assert "`benchmarks/good.py --rounds 2`; " in page.read_text()

    def test_a_failure_keeps_the_old_table_and_measures_the_others(self, page, monkeypatch) -> None:
        monkeypatch.setattr(sys, "argv", ["performance.py", "--page", str(page), "--only", "bad", "good"])
        with pytest.raises(SystemExit, match="bad"):
            performance.main()
        text = page.read_text()
        assert "old bad" in text
        assert TABLE in text

    def test_a_failure_is_raised(self, page) -> None:
        with pytest.raises(subprocess.CalledProcessError):
            performance.measure("bad.py")
