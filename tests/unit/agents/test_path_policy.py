"""One policy for generated paths: what is accepted stays beneath its root, everywhere."""

import ntpath
import posixpath
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.agents.paths import (
    MAX_DEPTH,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_SEGMENT_BYTES,
    MAX_TOTAL_BYTES,
    UnsafePaths,
    check_paths,
    require_paths,
)

# Mostly made of what does harm, so that hostile paths are found.
SEGMENT = st.one_of(
    st.sampled_from(
        ["..", ".", "", "a", "A", "app.py", "con", "NUL.txt", "C:", "\\", ".git", "a\0b", " ", "é"]
    ),
    st.text(max_size=6),
)
PATH = st.one_of(st.lists(SEGMENT, max_size=5).map("/".join), st.text(max_size=20))
ROOTS = ["/", "/srv/x", "relative", "C:\\work", "\\\\server\\share"]


def accepted(*paths: str) -> bool:
    return check_paths((path, 1) for path in paths) == ()


@pytest.mark.parametrize(
    "path",
    [
        "app.py",
        "src/app/__init__.py",
        ".gitignore",
        ".github/workflows/ci.yml",
        "docs/Anleitung für alle.md",
        "हिंदी/पाठ.md",
        "console.py",
        "com10.txt",
        "a-b/c_d.e.f",
    ],
)
def test_plain_relative_paths_pass(path: str) -> None:
    assert accepted(path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "//server/share",
        "\\\\server\\share\\x",
        "C:/x",
        "C:x",
        "../x",
        "a/../../x",
        "a/./b",
        "a//b",
        "a/",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "a\u200bb",
        "\ud800",
        unicodedata.normalize("NFD", "é.py"),
        "a.",
        "a ",
        " a",
        "a /b",
        "con",
        "Con.txt",
        "sub/LPT1.log",
        "com¹",
        "nul .txt",
        "file.txt:stream",
        "a*b",
        "a?b",
        ".git/hooks/pre-commit",
        "sub/.GIT/config",
        "git~1/config",
        "-rf",
        "~root/x",
        "x" * (MAX_SEGMENT_BYTES + 1),
        "/".join("a" * (MAX_DEPTH + 1)),
        "/".join(["abcdefghi"] * 12) + "/" + "z" * 90,
    ],
)
def test_everything_else_is_refused(path: str) -> None:
    assert not accepted(path)


@pytest.mark.parametrize(
    "paths",
    [
        ("a.py", "a.py"),
        ("a.py", "A.py"),
        ("straße.py", "STRASSE.py"),
        ("App/a.py", "app/b.py"),
        ("a", "a/b.py"),
        ("x/A", "x/a/b.py"),
    ],
)
def test_paths_that_would_meet_are_refused_together(paths: tuple[str, ...]) -> None:
    assert all(accepted(path) for path in paths)
    assert not accepted(*paths)


def test_one_bad_path_rejects_the_batch() -> None:
    with pytest.raises(UnsafePaths) as rejected:
        require_paths([("app.py", 1), ("../x", 1), ("b.py", 1)])
    assert [finding.subject for finding in rejected.value.findings] == ["../x"]
    assert rejected.value.code == "unsafe_paths"


def test_count_and_sizes_are_capped() -> None:
    assert check_paths([(f"f{n}.py", 1) for n in range(MAX_FILES)]) == ()
    assert check_paths([(f"f{n}.py", 1) for n in range(MAX_FILES + 1)])
    assert check_paths([("a", MAX_FILE_BYTES)]) == ()
    assert check_paths([("a", MAX_FILE_BYTES + 1)])
    whole = MAX_TOTAL_BYTES // MAX_FILE_BYTES
    full = [(f"f{n}", MAX_FILE_BYTES) for n in range(whole)]
    assert check_paths(full) == ()
    assert check_paths([*full, ("g", 1)])


def test_a_refused_path_is_not_repeated_raw() -> None:
    (finding,) = check_paths([("a\x1b[31m\nb", 1)])
    assert finding.subject.isprintable()


@given(PATH, st.sampled_from(ROOTS))
def test_an_accepted_path_stays_beneath_any_root(path: str, root: str) -> None:
    if not accepted(path):
        return
    for system in (posixpath, ntpath):
        whole = system.normpath(system.join(root, path))
        beneath = system.normpath(root).rstrip(system.sep) + system.sep
        assert whole.startswith(beneath)
        assert len(whole) > len(beneath)


@given(st.lists(PATH, max_size=6))
def test_accepted_paths_are_different_files_on_a_case_insensitive_disk(paths: list[str]) -> None:
    if accepted(*paths):
        folded = {unicodedata.normalize("NFD", path).casefold() for path in paths}
        assert len(folded) == len(paths)


@given(st.lists(PATH, min_size=1, max_size=5))
def test_the_order_of_the_batch_does_not_matter(paths: list[str]) -> None:
    assert accepted(*paths) == accepted(*reversed(paths))
