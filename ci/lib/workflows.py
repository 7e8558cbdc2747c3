"""Whether the workflows run what was reviewed, with no more rights than they need: each action is named by
the hash of a commit, each image by its digest, no job keeps the token that it was checked out with, what a
job may do is said and is reading, and every job ends.
"""

import re

from sources import ROOT, tree

def _step_after(lines, number):
    """The lines of the step that begins before or at `number`, to its end."""
    indent = len(lines[number]) - len(lines[number].lstrip())
    step = [lines[number]]
    for line in lines[number + 1:]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        step.append(line)
    return step


def _jobs(lines):
    """(number of the line, lines) of each job."""
    start = next((number for number, line in enumerate(lines) if line.rstrip() == "jobs:"), len(lines))
    heads = [number for number in range(start + 1, len(lines)) if re.match(r"  \w[\w-]*:\s*$", lines[number])]
    for head, end in zip(heads, [*heads[1:], len(lines)]):
        yield head, lines[head:end]


def problems_of(name, text):
    lines = text.splitlines()
    for number, line in enumerate(lines):
        place = f"{name}:{number + 1}:"
        if action := re.search(r"\buses: *(\S+)", line):
            if not action[1].startswith("./") and not re.search(r"@[0-9a-f]{40}$", action[1]):
                yield f"{place} {action[1]} is not pinned by the hash of a commit"
            if action[1].startswith("actions/checkout@"):
                if not any(re.search(r"persist-credentials: *false", each) for each in _step_after(lines, number)):
                    yield f"{place} the checkout keeps its credentials: say persist-credentials: false"
        if image := re.search(r"\b(?:container|image): *(\S+)", line):
            if not re.search(r"@sha256:[0-9a-f]{64}$", image[1]):
                yield f"{place} {image[1]} is not pinned by its digest"
        if re.search(r":\s*(?:write|write-all)\s*$", line):
            yield f"{place} a right to write: {line.strip()}"
        if "pull_request_target" in line:
            yield f"{place} pull_request_target runs strangers' changes with the rights of this repository"
        if re.search(r"\brun:.*\$\{\{ *github\.", line):
            yield f"{place} an expression within a command: hand it over in the environment"
    if not re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE):
        yield f"{name}:1: what the jobs may do is not said: permissions, contents: read"
    for number, job in _jobs(lines):
        if not any(re.match(r"    timeout-minutes: \d+$", line) for line in job):
            yield f"{name}:{number + 1}: this job has no end: say timeout-minutes"


def problems():
    found = []
    for name in tree():
        if re.match(r"\.github/workflows/[^/]+\.ya?ml$", name):
            found += problems_of(name, (ROOT / name).read_text(encoding="utf-8"))
    return found
