"""The book before it is built: pairs in sync, chapters complete, pages that lead somewhere."""

import ast
import importlib.util
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from llamalite.book import interactive, quiz, scale_table, show_source
from llamalite.book.pages import paper
from llamalite.book.widgets import redrawn

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.md"))

chapters = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda file: file.stem)


def tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


notebooks = tool("notebooks")


def cells(chapter):
    return nbformat.read(chapter.with_suffix(".ipynb"), as_version=4).cells


def code(chapter):
    return [cell for cell in cells(chapter) if cell.cell_type == "code"]


def html(chapter):
    for cell in code(chapter):
        for output in cell.outputs:
            yield "".join(output.get("data", {}).get("text/html", ""))


def test_the_first_chapters_are_there():
    assert {"00_micro_world", "02_pretraining", "02_2_model", "03_1_sft"} <= {
        file.stem for file in CHAPTERS
    }


@chapters
def test_text_and_notebook_are_one_thing(chapter):
    assert notebooks.faults(chapter) == []


def test_a_changed_pair_is_found(tmp_path):
    for suffix in (".md", ".ipynb"):
        source = CHAPTERS[0].with_suffix(suffix)
        (tmp_path / source.name).write_bytes(source.read_bytes())
    copy = tmp_path / CHAPTERS[0].name
    copy.write_text(copy.read_text().replace("import", "import  ", 1))
    assert any("differ" in fault for fault in notebooks.faults(copy))


@chapters
def test_a_chapter_has_all_its_parts(chapter):
    text = chapter.read_text()
    for part in (
        "**After this chapter you can**",
        "**Run time**",
        "**Hardware**",
        "https://arxiv.org/",
        "## At full size",
        "scale_table(",
        "## Exercises",
        "## Further reading",
        "interactive(",
        "quiz(",
        "show_source(",
    ):
        assert part in text, f"{chapter.name} has no {part}"
    exercises = re.findall(r"\{exercise-start\}[^\n]*\n:label: (\S+)", text)
    solutions = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", text)
    assert len(exercises) >= 3
    assert exercises == solutions
    assert sum("assert " in cell.source for cell in code(chapter)) >= 6


def test_every_chapter_installs_itself_in_the_same_way():
    first = {code(chapter)[0].source for chapter in CHAPTERS}
    assert len(first) == 1
    assert "git" in first.pop()


@chapters
def test_chapters_import_and_never_define_what_the_package_has(chapter):
    public = {
        node.name
        for file in (ROOT / "llamalite").rglob("*.py")
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    for cell in code(chapter):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                assert node.name not in public, f"{node.name} stands in the package"


@chapters
def test_outputs_need_no_network_and_tell_no_paths(chapter):
    for fragment in html(chapter):
        assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", fragment)
        assert "cdn." not in fragment
    stored = chapter.with_suffix(".ipynb").read_text()
    assert not re.search(r"/(root|home|Users|tmp)/", stored)


@chapters
def test_every_interactive_has_a_name_and_a_fallback(chapter):
    found = [fragment for fragment in html(chapter) if "ll-interactive" in fragment]
    assert len(found) >= 2, "an interactive and the quiz"
    for fragment in found:
        assert re.search(r'data-interactive="[a-z_]+"', fragment)
        assert re.search(r"<noscript>.{10,}</noscript>", fragment)


@chapters
def test_stored_interactives_are_those_of_the_templates(chapter):
    for fragment in html(chapter):
        if 'class="ll-interactive"' in fragment:
            assert redrawn(fragment) == fragment, "tools/notebooks.py --redraw"


def test_what_is_no_interactive_is_not_drawn_again():
    with pytest.raises(ValueError, match="no interactive"):
        redrawn("<p>a table</p>")


def test_pages_of_the_contents_exist():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    files = [*re.findall(r"'file': '([^']+)'", str(toc)), toc["root"]]
    assert len(files) > 10
    for name in files:
        if "generated" not in name:
            assert (ROOT / name).is_file() or (ROOT / f"{name}.md").is_file(), name


def test_the_paper_map_leads_to_real_places():
    text = (ROOT / "book" / "paper_map.md").read_text()
    for path in re.findall(r"`(llamalite/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / "book" / link).exists(), link
    from llamalite.claims import CLAIMS

    covered = set()
    for first, last in re.findall(r"\b([A-Z]\d+)(?: to [A-Z]?(\d+))?", text):
        letter, start = first[0], int(first[1:])
        covered |= {f"{letter}{n}" for n in range(start, int(last or start) + 1)}
    real = {name for name in CLAIMS if not name.startswith("W")}  # not claims of the paper
    assert real <= covered


def test_generated_pages_name_every_public_thing():
    pages = tool("book_pages")
    listed = "".join(
        pages.api_page(title, pages.modules(patterns))
        for title, patterns in pages.API_PAGES.values()
    )
    for file in (ROOT / "llamalite").rglob("*.py"):
        if file.stem.startswith("_"):
            continue
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                assert re.search(rf"py:(function|class)}} {node.name}\b", listed), f"{file} {node}"


def test_interactive_keeps_its_data_inside_the_script():
    page = interactive("quiz", ["</script><b>out</b>"]).data
    assert page.count("</script>") == 1


def test_unknown_interactives_and_wrong_quizzes_are_refused():
    with pytest.raises(ValueError, match=r"choose among .*rope"):
        interactive("ropes", {})
    with pytest.raises(ValueError, match="count from 0"):
        quiz(("two?", ["yes", "no"], 2, "because"))


def test_show_source_leaves_out_the_docstring_on_request():
    whole, bare = show_source(scale_table).data, show_source(scale_table, docstring=False).data
    assert '"""' in whole
    assert '"""' not in bare
    ast.parse(bare)


def test_a_bar_in_a_cell_does_not_end_it():
    row = scale_table([("affected", "|Z| > 2", "the same", "-")]).data.splitlines()[-1]
    assert row == r"| affected | \|Z\| > 2 | the same | - |"


def test_paper_links_to_sections():
    assert paper("2").endswith("#section.2")
    assert paper("3.2.1").endswith("#subsubsection.3.2.1")


def test_every_generated_part_can_be_made():
    parts = dict(tool("book_pages").parts())
    assert "### preferences (section 3.2.1)" in parts["stages"]
    assert all(text.strip() for text in parts.values())
