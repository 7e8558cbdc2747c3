"""Writes the field guide, zoo/README.md, from specimens.json and from the sources of the servers.

guide.py          writes it
guide.py --check  says whether it is up to date, and fails if not

What is shown of a specimen is the difference between the server as the compiler sees it when that
specimen was chosen, and when none was: each `if (bug(NAME))` is resolved for one and for the other.
"""
import difflib
import pathlib
import re
import sys
import textwrap

import registry

README = registry.ROOT / "zoo" / "README.md"
HERE = registry.ROOT / "zoo"


def statement_end(text, at):
    """Where the statement ends that begins at `at`: a block, a simple one, or an if with its else."""
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
    """The source without its specimens, but for those that were chosen."""
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


CHAPTERS = {
    "A": "Reading",
    "B": "Writing",
    "C": "Closing",
    "D": "Accepting",
    "T": "All of it together",
}

INTRODUCTION = """\
# A field guide to faulty libuv servers

What to look for in your own libuv code. Each specimen is a server that differs from a right one, its
twin, by one defect that real programs had. Lines with a minus are the faulty ones, as they looked to
those who wrote them; lines with a plus are what the twin has in their place. R1 to R40 are the rules in
`docs/libuv-rules.md`.

The zoo is the test of the testers: the harness must find every specimen, by the oracle or rule that is
named here, and must leave every twin in peace.

```
ci/zoo                      # every specimen by every means: table, plot and JSON in build/zoo
ci/zoo --twins 10000000     # the twins alone, so many executions
ctest --preset fuzz -L zoo  # the quick form
ZOO_SPECIMEN=C1_closed_for_two_reasons build/fuzz/bin/zoo_fuzzer -max_len=128
```

| file | what |
|---|---|
| `tutorial.c` | a buffer for each read, queued writes |
| `pooled.c` | a fixed number of blocks and clients |
| `timed.c` | a timer for each connection: two handles in one object |
| `owners.cpp` | C++ owners |
| `specimens.json` | the registry: what is wrong, which rule, where it was seen, how it must be found |
| `corpus/` | the shortest input known that shows each specimen; under the name of a twin, what was held against it by mistake |
| `zoo_fuzzer` | the fuzz target: a specimen, or a shape for its twin, is named by `ZOO_SPECIMEN` |
| `zoo_search` | the same by other means, and replay of inputs |
| `zoo_server` | a specimen or a twin on real libuv |

Not shown: what the library itself had wrong (the last bytes lost at a hang-up, a write of nothing that
never ended, a crash without descriptors), which no server can do; and a descriptor that was handed to
another process and is still open here, as uvsim has no other process.

"""


def section(specimen):
    expected = ", ".join(f"`{words.rstrip(':')}`" for words in specimen.expected)
    data = (HERE / "corpus" / specimen.name).read_bytes()
    shown = f"`{data.hex(' ')}`" if data else "nothing: in a kind world, too"
    notes = ""
    if specimen.needs:
        notes += f"\n\nIt takes {specimen.needs} to see it."
    if specimen.loopback:
        notes += "\n\nAlso on real sockets: `loopback_test.cpp`."
    wrong = "\n".join(textwrap.wrap(specimen.wrong, 104))
    return f"""### {specimen.name}

{wrong}

| rule | seen in | found as | shortest input |
|---|---|---|---|
| {' '.join(specimen.rule)} | {specimen.seen} | {expected} | {shown} |{notes}

`{registry.SHAPES[specimen.shape]}`

```diff
{difference(specimen)}
```

"""


def guide():
    text = INTRODUCTION
    chapter = ""
    for specimen in registry.specimens():
        if specimen.name[0] != chapter:
            chapter = specimen.name[0]
            text += f"## {CHAPTERS[chapter]}\n\n"
        text += section(specimen)
    return text.rstrip("\n") + "\n"


def main():
    text = guide()
    if "--check" in sys.argv[1:]:
        if not README.exists() or README.read_text() != text:
            print("zoo/README.md is out of date; run: python3 zoo/guide.py", file=sys.stderr)
            return 1
        return 0
    README.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
