# shellcheck shell=bash
# The files of the tree. To be sourced, in the tree's root.

# What git knows of; without git, what is there.
files() { # [FOLDER]
  git ls-files --cached --others --exclude-standard "$@" 2>/dev/null ||
    find "${@:-.}" -type f -not -path '*/build/*' -not -path '*/.git/*' | sed 's|^\./||'
}

# As a release tarball has it: no .git, no build.
copy_tree() { # DIRECTORY
  files | while read -r file; do
    if [[ -f $file ]]; then echo "$file"; fi
  done | tar -cf - -T - | tar -xf - -C "$1"
}
