"""Finds the shortest input that shows each specimen, as far as it can be had, and writes it to corpus/.

Called by ci/zoo --inputs. Where all inputs of up to two bytes can be tried the shortest is the
shortest; for the others one that a search found is made shorter and plainer for as long as it shows
the same. It must show it with and without AddressSanitizer, and the fixed version must not fail.
"""
import itertools
import pathlib
import re
import subprocess
import sys
import tempfile

import registry


class Shower:
    def __init__(self, specimen, programs):
        self.specimen = specimen
        self.programs = programs
        self.file = tempfile.NamedTemporaryFile()
        self.known = {}

    def shows(self, data, thorough=False):
        """Whether the input fails as expected, and not with the fixed version."""
        if not thorough and data in self.known:
            return self.known[data]
        pathlib.Path(self.file.name).write_bytes(data)
        programs = self.programs if thorough else self.programs[:1]
        yes = all(self.specimen.found_in(registry.run([p, "replay", self.file.name],
                                                      self.specimen.name)) and
                  registry.run([p, "replay", self.file.name], self.specimen.shape).status == 0
                  for p in programs)
        if not thorough:
            self.known[data] = yes
        return yes


def tiny(specimen, program):
    """The first of all inputs of at most two bytes that fails, if it fails as expected."""
    runs = 1 + 256 + 256 * 256
    outcome = registry.run([program, "shortest", "0", str(runs)], specimen.name)
    if not specimen.found_in(outcome):
        return None
    nth = int(re.search(r"in execution (\d+)", outcome.text).group(1)) - 1
    if nth == 0:
        return b""
    if nth <= 256:
        return bytes([nth - 1])
    return (nth - 257).to_bytes(2, "little")


def candidates(specimen, corpus, fuzzer, seeds):
    if (corpus / specimen.name).exists():
        yield (corpus / specimen.name).read_bytes()
    for seed in range(1, seeds + 1):
        with tempfile.TemporaryDirectory() as directory:
            registry.run([fuzzer, f"-seed={seed}", "-runs=1000000", "-max_len=128", "-verbosity=0",
                          f"-artifact_prefix={directory}/"], specimen.name)
            for found in sorted(pathlib.Path(directory).iterdir()):
                yield found.read_bytes()


def shorter(data, shower):
    """Without pieces of it, while that shows the same."""
    size = max(1, len(data) // 2)
    while size:
        at = 0
        while at < len(data):
            candidate = data[:at] + data[at + size:]
            if shower.shows(candidate):
                data = candidate
            else:
                at += 1
        size //= 2
    for first, second in itertools.combinations(range(len(data)), 2):
        if second >= len(data):
            break
        candidate = bytes(b for i, b in enumerate(data) if i not in (first, second))
        if shower.shows(candidate):
            return shorter(candidate, shower)
    return data


def plainer(data, shower):
    """With smaller bytes, while that shows the same."""
    for at in range(len(data)):
        for value in [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 13]:
            if value >= data[at]:
                break
            candidate = data[:at] + bytes([value]) + data[at + 1:]
            if shower.shows(candidate):
                data = candidate
                break
    return data


def shortest(specimen, corpus, plain, sanitized, fuzzer, seeds=2):
    programs = [sanitized] if specimen.needs else [plain, sanitized]
    shower = Shower(specimen, programs)
    data = tiny(specimen, programs[0])
    if data is not None and shower.shows(data, thorough=True):
        return data
    best = None
    for data in candidates(specimen, corpus, fuzzer, seeds):
        if not shower.shows(data):
            continue
        data = plainer(shorter(data, shower), shower)
        data = shorter(data, shower)
        if shower.shows(data, thorough=True) and (best is None or (len(data), data) < (len(best), best)):
            best = data
    return best


def main():
    plain, sanitized, fuzzer = sys.argv[1:4]
    only = sys.argv[4:]
    corpus = registry.ROOT / "zoo" / "corpus"
    corpus.mkdir(exist_ok=True)
    missing = 0
    for specimen in registry.specimens():
        if only and specimen.name not in only:
            continue
        data = shortest(specimen, corpus, plain, sanitized, fuzzer)
        if data is None:
            missing += 1
            print(f"{specimen.name:42} nothing shows it as expected", flush=True)
            continue
        (corpus / specimen.name).write_bytes(data)
        print(f"{specimen.name:42} {len(data):3} bytes  {data.hex(' ')}", flush=True)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
