"""Whether what the documents name exists: files, folders, commands with their options, tests, presets,
labels, programs, and every name of code in backticks.

Looked at are links, words in backticks, and the lines of code blocks. What is known not to be of this
tree is listed below, each with the reason.
"""

import fnmatch
import functools
import pathlib
import re
import subprocess

from security import claims_of_page, pattern_of
from sources import ROOT, read, tree

# Names of others: libuv's sources, what a user has, words of the system, notation.
FOREIGN = {
    "docs/libuv-rules.md": ["core.c", "stream.c", "tcp.c", "src/unix/", "test/test-delayed-accept.c",
                            "UV_HANDLE_READ_PARTIAL", "loop->active_handles"],
    "bench/README.md": ["/proc/*", "request()", "wrk.format(*", "HTTP/1.1 200 OK", "EXEC:cat", "report.md",
                        "report.json"],
    "SECURITY.md": ["max_user_watches"],
    "sim/README.md": ["--soname-synonyms=somalloc=nouserintercepts"],
}
_EXTENSION = re.compile(r"\.(?:c|h|cpp|hpp|md|py|cmake|json|dot|svg|txt|lua|html|dict|yml|in|jsonl)$")
_DOCUMENT = re.compile(r"\.md$")
_PLACEHOLDER = re.compile(r"[<>]|\.\.\.|^[A-Z]+$")


def documents():
    return [name for name in tree() if _DOCUMENT.search(name)]


@functools.cache
def words():
    """Every identifier of the tree's code, build files and scripts, and of libuv's headers; not of the documents."""
    found = set()
    for name in tree():
        if _DOCUMENT.search(name) or "/corpus/" in name or name.endswith((".svg", ".json")) and "zoo/" not in name:
            continue
        found.update(re.findall(r"[A-Za-z_]\w*", read(name)))
        found.add(pathlib.PurePath(name).stem)
    for header in [*pathlib.Path("/usr/include").glob("uv.h"), *pathlib.Path("/usr/include/uv").glob("*.h")]:
        found.update(re.findall(r"[A-Za-z_]\w*", header.read_text(encoding="utf-8")))
    return found


@functools.cache
def build_text():
    return "\n".join(read(name) for name in tree() if name.endswith((".cmake", "CMakeLists.txt", "CMakePresets.json")))


@functools.cache
def suites():
    """By suite of googletest, the names of its tests."""
    found = {}
    for name in tree():
        if name.endswith((".cpp", ".txt", ".cmake")):
            for suite, test in re.findall(r"\b(?:TYPED_)?TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", read(name)):
                found.setdefault(suite, set()).add(test)
            for suite, test in re.findall(r"NAME (\w+)\.([\w$\{\}]+)", read(name)):
                found.setdefault(suite, set()).add(re.sub(r"\$\{\w+\}", "*", test))
    return found


@functools.cache
def help_of(command):
    """What a command of ci says of itself; of ci/serve, whose options are the program's, the program's text."""
    if command == "ci/serve":
        return read("src/options.cpp") + read("ci/serve")
    said = _said(command, "--help")
    # A mode may have a help of its own, which the command's own names: "ci/fuzz --server --help".
    modes = set(re.findall(rf"{command} (--[a-z-]+) --help", said))
    return said + "".join(_said(command, mode, "--help") for mode in sorted(modes)) + "--help -h" if said else ""


def _said(command, *words):
    done = subprocess.run([ROOT / command, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else ""


def presets():
    return set(re.findall(r'"name": "([a-z-]+)"', read("CMakePresets.json")))


def path_exists(name, base):
    """A file, a folder or a pattern of these, from the root or from the folder of the document."""
    name = name.removeprefix("./").rstrip("/")
    for start in ("", f"{base}/" if base else "", "src/"):
        wanted = start + name
        if any(fnmatch.fnmatch(each, wanted) or fnmatch.fnmatch(each, f"{wanted}/*") for each in tree()):
            return True
    return False


def test_exists(name):
    if re.match(r"(exhaustive|torture|props|fuzz|zoo|sim|negative|conformance|harness|unit)\.", name):
        first, rest = name.split(".", 1)
        parts = [part for part in re.split(r"[.*]+", rest) if part]
        made = re.findall(rf"\b{first}\.([\w.$\{{\}}]+)", build_text())
        return any(all(part in each or "${" in each and part in words() for part in parts) for each in made)
    suite, _, test = name.partition(".")
    return any(fnmatch.fnmatch(each, test) or fnmatch.fnmatch(test, each)
               for known, tests in suites().items() if fnmatch.fnmatch(known, suite) for each in tests)


def problem_of_command(text):
    """What is wrong with a command line, or None."""
    text = re.split(r"\s#|\s\|\s", text)[0]
    for command, rest in re.findall(r"(?<![\w./])(ci/[a-z-]+)((?:\s+(?!ci/|&&|-- )\S+)*)", text):
        if command not in tree():
            return f"{command} does not exist"
        if command == "ci/newer-libuv":
            continue  # what follows is a program's
        for option in re.findall(r"(?<!\S)(--[a-z][a-z-]*)", rest.split(" -- ")[0]):
            if option not in help_of(command):
                return f"{command} --help does not know {option}"
    for preset in re.findall(r"--preset[ =]([a-z]+)", text):
        if preset not in presets():
            return f"there is no preset {preset}"
    for target in re.findall(r"--target ([\w ]+)", text):
        for each in target.split():
            if not re.search(rf"\b{each}\b", build_text()):
                return f"there is no target {each}"
    for label in re.findall(r"ctest .*-L (\w+)", text):
        if not re.search(rf"LABELS[^)]*\b{label}\b", build_text()):
            return f"there is no label {label}"
    for preset, program in re.findall(r"build/([a-z]+)/bin/(\w+)", text):
        stem = re.sub(r"_(?:fuzzer|replay|props|smoke)$", "", program)
        if preset not in presets() or not (program in words() or stem in words()):
            return f"build/{preset}/bin/{program} is not made by any preset"
        for option in re.findall(rf"{program}.*?\s(--[a-z][a-z-]*)", text):
            if not any(f'{option}"' in read(name) for name in tree() if name.endswith(".cpp")):
                return f"{program} does not take {option}"
    return None


def problem_of_word(word, base):
    """What is wrong with a text in backticks, or None."""
    if re.match(r"(?:ci/|cmake |ctest |build/)", word):
        return problem_of_command(word)
    if _PLACEHOLDER.search(word) and not re.search(r"::", word) or word.startswith(("/", "~", "http", "$", "-Wl")):
        return None
    if re.fullmatch(r"[\w.*-]+(?:/[\w.*-]+)*/?", word) and ("/" in word or _EXTENSION.search(word)):
        named = "/" in word and not word.startswith(".")
        if path_exists(word, base):
            return None
        if not named and any(fnmatch.fnmatch(pathlib.PurePath(each).name, word) for each in tree()):
            return None
        return f"{word} does not exist"
    if re.fullmatch(r"--[a-z][a-z-]*(?:[ =].*)?", word):
        option = re.match(r"--[a-z-]+", word).group()
        used = [name for name in tree() if name.startswith("ci/") or name.endswith((".cpp", ".py"))]
        return None if any(f'{option}"' in read(name) or f"{option}" in read(name) for name in used) else \
            f"nothing takes {option}"
    if pattern_of(word) is not None and (re.match(r"[a-z]", word) or word.partition(".")[0] in suites()):
        return None if test_exists(word) else f"there is no test {word}"
    if re.fullmatch(r"[A-Z]\w*\.[\w*]+", word):
        return f"there is no test {word}"
    if re.fullmatch(r"[A-Za-z_][\w:<>.*-]*(?:\([^()]*\))?", word):
        names = re.findall(r"[A-Za-z_]\w*", word.split("(")[0])
        missing = [name for name in names if name not in words()
                   and not ("*" in word and any(each.startswith(name) for each in words()))]
        return f"no code names {missing[0]}" if missing else None
    return None


def problems_of(name, text):
    base = str(pathlib.PurePath(name).parent)
    base = "" if base == "." else base
    foreign = FOREIGN.get(name, [])
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        found = []
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if fenced or line.startswith("    "):
            found.append(problem_of_command(line))
        else:
            for target in re.findall(r"\]\(([^)#\s]+)", line):
                if not re.match(r"[a-z]+:", target) and not path_exists(target, base):
                    found.append(f"{target} does not exist")
            for word in re.findall(r"`([^`]+)`", line):
                if not any(fnmatch.fnmatch(word, each) for each in foreign):
                    found.append(problem_of_word(word, base))
        yield from (f"{name}:{number}: {each}" for each in found if each)


def problems_of_rules():
    """Rules of libuv, R1 to R40, that something cites and docs/libuv-rules.md does not have."""
    known = set(re.findall(r"\*\*(R\d+)\*\*", read("docs/libuv-rules.md")))
    for name in tree():
        if not name.endswith((".c", ".h", ".cpp", ".hpp", ".md")) or name.startswith("zoo/"):
            continue
        for number, line in enumerate(read(name).splitlines(), 1):
            for rule in re.findall(r"\bR[1-9]\d?\b(?!-)", line):
                if rule not in known:
                    yield f"{name}:{number}: docs/libuv-rules.md has no rule {rule}"


def problems_of_claims():
    """Claims of SECURITY.md for which docs/audit.md does not say where the argument is, and the reverse."""
    section = read("docs/audit.md").split("\n## Where each claim's argument is\n")[1]
    listed = [int(number) for number in re.findall(r"^\| (\d+) ", section, re.MULTILINE)]
    claims = [number for number, _, _ in claims_of_page()]
    if listed != claims:
        yield f"docs/audit.md gives the arguments of claims {listed}; SECURITY.md has {claims}"


def problems():
    """What the documents name and nothing is, a line each."""
    found = [problem for name in documents() for problem in problems_of(name, read(name))]
    return found + list(problems_of_rules()) + list(problems_of_claims())
