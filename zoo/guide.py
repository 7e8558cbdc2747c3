"""Writes the field guide, zoo/README.md and zoo/specimens/, from specimens.json and the servers' sources.

guide.py          writes it
guide.py --check  names each page that is out of date, and fails if there is one

A page shows the difference between the server with the bug and the server without it. Each
`if (bug(NAME))` is resolved for the one and for the other.
"""
import difflib
import pathlib
import re
import sys
import textwrap

import registry

README = registry.ROOT / "zoo" / "README.md"
HERE = registry.ROOT / "zoo"
PAGES = HERE / "specimens"


def statement_end(text, at):
    """The end of the statement that begins at `at`: a block, a simple one, or an if with its else."""
    at += len(text[at:]) - len(text[at:].lstrip())
    if text.startswith("if ", at):
        at = closing(text, text.index("(", at)) + 1
        at = statement_end(text, at)
        other = re.compile(r"\s*else\b").match(text, at)
        return statement_end(text, other.end()) if other else at
    if text[at] == "{":
        return closing(text, at) + 1
    depth = 0
    while text[at] != ";" or depth:
        depth += text[at] in "({["
        depth -= text[at] in ")}]"
        at += 1
    return at + 1


def closing(text, at):
    """The bracket that closes the one at `at`."""
    depth = 0
    while True:
        depth += text[at] in "({"
        depth -= text[at] in ")}"
        if not depth:
            return at
        at += 1


def body(statement, indent):
    """A statement as lines of the block that it is put into."""
    statement = statement.strip("\n")
    stripped = statement.strip()
    if not stripped:
        return ""
    if stripped.startswith("{"):
        inner = stripped[1:-1].strip("\n").rstrip()
        return textwrap.indent(textwrap.dedent(inner), indent)
    return indent + textwrap.dedent(stripped)


def resolve(text, chosen):
    """The source without its bugs, but for the chosen ones."""
    pattern = re.compile(r"^( *)(?:\} else )?if \((!?)bug\((\w+)\)\)", re.M)
    while True:
        match = pattern.search(text)
        if not match:
            left = re.search(r"bug\(\w+\)", text.split("#include", 1)[1])
            if left:
                raise SystemExit(f"guide.py: cannot resolve: {left.group()}")
            return text
        indent = match.group(1)
        taken = (match.group(3) in chosen) != bool(match.group(2))
        first_end = statement_end(text, match.end())
        first = text[match.end():first_end]
        other = re.compile(r"\s*else\b").match(text, first_end)
        end = statement_end(text, other.end()) if other else first_end
        second = text[other.end():end] if other else ""
        begin = match.start()
        if match.group().lstrip().startswith("}"):
            # One of several: `} else if (bug(X)) A else B` is `} else A` or `} else B`.
            kept = (first if taken else second).strip()
            text = text[:begin] + indent + "} else " + kept + text[end:]
            continue
        chosen_part = body(first if taken else second, indent)
        if not chosen_part and text[end] == "\n":
            end += 1  # the whole line goes
        text = text[:begin] + chosen_part + text[end:]


def difference(specimen):
    source = (HERE / registry.SHAPES[specimen.shape]).read_text()
    names = set(specimen.together) or {specimen.name}
    wrong, right = (resolve(source, chosen).splitlines() for chosen in (names, set()))
    lines = list(difflib.unified_diff(wrong, right, n=3, lineterm=""))[2:]
    if not lines:
        raise SystemExit(f"guide.py: {specimen.name} makes no difference")
    return "\n".join("" if line.startswith("@@") else line for line in lines).strip("\n")


INTRODUCTION = """\
# A field guide to faulty libuv servers

Each specimen is a server with one bug that real programs had. Its fixed version is the same server without the bug.
The zoo tests the tests: the harness must find every specimen by the named oracle or rule, and must find nothing in a
fixed version. A specimen's page shows the difference to the fixed version, where the bug was seen, and the shortest
known input that shows it.

```
ci/zoo                      # every specimen by every technique: table, plot and JSON in build/zoo
ci/zoo --fixed 10000000     # only the fixed versions, this many executions
ctest --preset fuzz -L zoo  # the quick form
ZOO_SPECIMEN=C1_closed_for_two_reasons build/fuzz/bin/zoo_fuzzer -max_len=128
```

| file | what |
|---|---|
| `tutorial.c` | a server with a buffer for each read, and queued writes |
| `pooled.c` | a server with a fixed number of blocks and clients |
| `timed.c` | a server with a timer for each connection: two handles in one object |
| `owners.cpp` | a server with C++ owners |
| `specimens.json` | the registry: each bug, its rule, where it was seen, how it must be found |
| `specimens/` | a page for each specimen; `ci/zoo --guide` writes them and this page |
| `corpus/` | the shortest known input for each specimen; under the name of a server, inputs of which an oracle was once wrong |
| `zoo_fuzzer` | the fuzz target; `ZOO_SPECIMEN` names a specimen, or a server in its fixed version |
| `zoo_search` | the same with other techniques, and replay of inputs |
| `zoo_server` | a specimen or a fixed version on real libuv |

Two kinds of bugs are not shown:

* Bugs of libuv itself, which no server can have: the last bytes lost at a hang-up, a write of nothing that never ended,
  a crash without descriptors.
* A descriptor that was handed to another process and is still open in this one. uvsim has no other process.

## The specimens

R1 to R40 are the rules in `docs/libuv-rules.md`. A is reading, B writing, C closing, D accepting, T all of it.

| specimen | server | rule | the bug |
|---|---|---|---|
"""


def row(specimen):
    wrong = specimen.wrong.replace("|", "\\\\|")
    return (f"| [{specimen.name}](specimens/{specimen.name}.md) | `{registry.SHAPES[specimen.shape]}` "
            f"| {' '.join(specimen.rule)} | {wrong} |\n")


def page(specimen):
    expected = ", ".join(f"`{words.rstrip(':')}`" for words in specimen.expected)
    data = (HERE / "corpus" / specimen.name).read_bytes()
    shown = f"`{data.hex(' ')}`" if data else "none: a fault-free run shows it"
    notes = ""
    if specimen.needs:
        notes += f"\n\nOnly {specimen.needs} shows it."
    if specimen.loopback:
        notes += "\n\nAlso on real sockets: `loopback_test.cpp`."
    wrong = "\n".join(textwrap.wrap(specimen.wrong, 104))
    return f"""# {specimen.name}

{wrong}

| rule | seen in | found as | shortest input |
|---|---|---|---|
| {' '.join(specimen.rule)} | {specimen.seen} | {expected} | {shown} |{notes}

`{registry.SHAPES[specimen.shape]}`; the bug has a minus, the fixed version a plus:

```diff
{difference(specimen)}
```
"""


def pages():
    """The text of each page, by its path."""
    known = registry.specimens()
    texts = {README: INTRODUCTION + "".join(row(specimen) for specimen in known)}
    texts |= {PAGES / f"{specimen.name}.md": page(specimen) for specimen in known}
    return texts


def main():
    texts = pages()
    left_over = set(PAGES.glob("*.md")) - set(texts)
    stale = left_over | {path for path, text in texts.items() if not path.exists() or path.read_text() != text}
    if "--check" in sys.argv[1:]:
        for path in sorted(stale):
            print(f"{path.relative_to(registry.ROOT)} is out of date; run: ci/zoo --guide", file=sys.stderr)
        return 1 if stale else 0
    PAGES.mkdir(exist_ok=True)
    for path in left_over:
        path.unlink()
    for path, text in texts.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
