"""Escaping and missing values of page templates."""

from __future__ import annotations

import jinja2
import pytest

from nnunet_femur.page_templates import page_templates


@pytest.fixture
def folder(tmp_path):
    for name in ("page.html.j2", "page.md.j2"):
        (tmp_path / name).write_text("{{ text }}\n")
    return tmp_path


@pytest.mark.parametrize(("name", "text"), [("page.html.j2", "a &lt; b"), ("page.md.j2", "a < b")])
def test_html_alone_is_escaped(folder, name, text):
    assert page_templates(folder).get_template(name).render(text="a < b") == text


def test_a_missing_value_is_an_error(folder):
    with pytest.raises(jinja2.UndefinedError):
        page_templates(folder).get_template("page.html.j2").render()


def test_the_last_line_break_is_kept_on_request(folder):
    kept = page_templates(folder, keep_trailing_newline=True).get_template("page.md.j2").render(text="a")
    assert kept == "a\n"
