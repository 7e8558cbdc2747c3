# shellcheck shell=bash
# What ci/fuzz and ci/fuzz-server share. To be sourced.

say() { printf 'ci/fuzz: %s\n' "$*"; }
die() {
  printf 'ci/fuzz: %s\n' "$*" >&2
  exit 2
}

seconds_of() {
  local -r number=${1%[smh]}
  [[ $number =~ ^[0-9]+$ ]] || die "--time: '$1' is not a time; say 90, 90s, 10m or 2h"
  case $1 in
    *m) echo $((number * 60)) ;;
    *h) echo $((number * 3600)) ;;
    *) echo "$number" ;;
  esac
}

# Two programs of one name are two programs: the number is of the folder.
name_of_program() { printf '%s-%s\n' "$(basename "${1%_fuzzer}")" "$(dirname "$1" | cksum | cut -c1-4)"; }
