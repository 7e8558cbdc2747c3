"""Whether the table of docs/audit.md lists everything in src that takes memory or gives it back.

A place is a word of the product's C++ that can allocate, such as `new` or `std::vector`. The table
quotes the code of each place behind the name of its file. A place that no row quotes is an error,
and so is a quotation that is not in the file.
"""

import re

from sources import code_of, product, read

PAGE = "docs/audit.md"
BEGIN, END = "<!-- inventory -->", "<!-- end of inventory -->"

# A parameter or a result that is a reference takes nothing.
_REFERENCE = r"(?!\s*(?:<[^;{}()]*>)?\s*[&*])"
_CONTAINERS = (r"(?:basic_string|vector|string|wstring|map|set|multimap|multiset|list|forward_list|deque|queue|"
               r"stack|priority_queue|unordered_\w+|function|move_only_function|any|shared_ptr|unique_ptr|"
               r"weak_ptr|thread|jthread|async|future|promise|packaged_task|\w*stringstream|\w*fstream|"
               r"filebuf|stringbuf|regex|valarray|locale|to_string|to_wstring|format|vformat|filesystem|pmr|"
               r"exception_ptr|make_exception_ptr|get_temporary_buffer|allocator|inplace_merge|"
               r"stable_sort|stable_partition)\b(?!_)")
PLACES = re.compile("|".join([
    r"\bnew\b", r"\bthrow\b(?!\s*;)", r"\bdelete\b(?!\s*;)",
    r"\b(?:make|allocate)_(?:unique|shared)\w*",
    r"\b(?:malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|memalign|free|strdup|strndup|"
    r"v?asprintf|mmap|munmap|getline|fopen|fdopen|opendir|getaddrinfo|freeaddrinfo|pthread_create)\s*\(",
    r"\bstd::(?:ranges::)?" + _CONTAINERS + _REFERENCE,
    r"\bfmt::(?:format|vformat|sprintf|to_string|basic_memory_buffer|memory_buffer|output_file)\b(?!_)",
    r"\bCLI::(?:App|Option\w*|Validator|IsMember|\w+Error)\b" + _REFERENCE,
    r"\buv_\w+_init(?:_ex)?\b", r"\buv_loop_close\b", r"\buv_(?:close|tcp_close_reset)\b",
    r"\buv_(?:strerror|err_name)\b",
    r"\bBlockPool\s+\w+_?\s*[;{=(]",
]))
_ALLOCATES = re.compile(r"\bnew\b|\bdelete\b|\bmake_(?:unique|shared)|alloc\(|_init\w*\(|\bstd::thread\(")
_DELETED = re.compile(r"=\s*delete")
# Ways to name a container without `std::`.
_HIDDEN = re.compile(r"\busing\s+namespace\b|\busing\s+(?:std|fmt|CLI)::|\bnamespace\s+\w+\s*=")

# What a header brings is either nothing that allocates, or among the words above.
_HARMLESS = """algorithm array atomic bit cerrno charconv chrono climits cmath csignal cstddef cstdint ctime
cstdio cstdlib cstring limits mutex new optional span string_view system_error utility variant
sanitizer/asan_interface.h fcntl.h linux/sockios.h netinet/in.h poll.h pthread.h sys/ioctl.h
sys/resource.h sys/socket.h sys/stat.h unistd.h""".split()
_LOOKED_FOR = "CLI/CLI.hpp fmt/format.h fstream map memory string thread uv.h vector".split()


def rows():
    """The rows of the table, each a list of cells; the first row names the columns."""
    table = read(PAGE).split(BEGIN)[1].split(END)[0]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
             for line in table.splitlines() if line.startswith("|")]
    return [cells[0]] + [row for row in cells[1:] if not set(row[0]) <= set("-: ")]


def quotations():
    """(file, code) for each piece of code that the table quotes behind the name of a file of src."""
    found = []
    for row in rows()[1:]:
        for cell in row:
            name = None
            for word in re.findall(r"`([^`]+)`", cell):
                if re.fullmatch(r"src/[\w/.]+", word):
                    name = word
                elif name is not None:
                    found.append((name, word))
    return found


def squeeze(text):
    return re.sub(r"\s+", " ", text)


def quoted(line, match, texts):
    """Whether one of the texts stands in the line and covers the word that was found."""
    for text in texts:
        start = line.find(text)
        while start != -1:
            if start <= match.start() and match.end() <= start + len(text):
                return True
            start = line.find(text, start + 1)
    return False


def places(name):
    """(number, line, match) for each word of a file that can allocate."""
    for number, line in enumerate(code_of(name).splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        line = _DELETED.sub("", squeeze(line))
        for match in PLACES.finditer(line):
            yield number, line, match


def problems():
    """What is wrong, a line each; nothing if the table and the code agree."""
    found = []
    by_file = {}
    for name, text in quotations():
        by_file.setdefault(name, []).append(squeeze(text))
    for name in product():
        texts = by_file.get(name, [])
        for number, line, match in places(name):
            if not quoted(line, match, texts):
                found.append(f"{name}:{number}: {match.group().strip()} is not in the table of {PAGE}: "
                             f"{line.strip()}")
        for number, line in enumerate(code_of(name).splitlines(), 1):
            if _HIDDEN.search(line):
                found.append(f"{name}:{number}: hides a name from the inventory: {line.strip()}")
        for header in re.findall(r"^\s*#\s*include\s*<([^>]+)>", read(name), re.MULTILINE):
            if header not in _HARMLESS and header not in _LOOKED_FOR:
                found.append(f"{name}: <{header}> is new here: say in ci/lib/inventory.py which of its "
                             "names allocate")
    for name, texts in by_file.items():
        if name not in product():
            found.append(f"{PAGE}: {name} is quoted and does not exist")
            continue
        code = squeeze(code_of(name))
        found += [f"{PAGE}: `{text}` is not in {name}" for text in texts if text not in code]
        found += [f"{PAGE}: `{text}` is in {name} more than once, and each place needs a row"
                  for text in texts if _ALLOCATES.search(text) and code.count(text) > 1]
    return found
