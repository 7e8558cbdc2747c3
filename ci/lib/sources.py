"""The files of this tree, and its C++ as the compiler sees it: without comments."""

import functools
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

_COMMENT_OR_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|R"\(.*?\)"|"(?:\\.|[^"\\\n])*"', re.DOTALL)
BESIDE_THE_TREE = {".git", "build", "__pycache__"}


@functools.cache
def tree():
    """Every file of the tree, as paths relative to ROOT: what git knows, or without git all there is."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        names = listed.stdout.splitlines()
    else:
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
    return sorted(name for name in names if (ROOT / name).is_file()
                  and not BESIDE_THE_TREE & set(pathlib.PurePath(name).parts))


def read(name):
    return (ROOT / name).read_text(encoding="utf-8", errors="replace")


def code_of(name):
    """The C++ of a file: comments and the insides of texts are blank, so lines keep their numbers."""
    def blank(match):
        found = match.group()
        empty = re.sub(r"[^\n]", " ", found)
        return '"' + empty[1:-1] + '"' if found.startswith('"') and len(found) > 1 else empty
    return _COMMENT_OR_TEXT.sub(blank, read(name))


def product():
    return [name for name in tree() if name.startswith("src/") and name.endswith((".cpp", ".hpp"))]


def lines_of(patterns):
    """How many lines the C and C++ files have that match one of the patterns ("sim/", "src/main.cpp")."""
    names = [name for name in tree() if name.endswith((".c", ".h", ".cpp", ".hpp")) and
             any(name == each or (each.endswith("/") and name.startswith(each)) for each in patterns)]
    return sum(read(name).count("\n") for name in names)
