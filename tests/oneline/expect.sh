#!/usr/bin/env bash
# expect.sh STATUS WORDS COMMAND...: the command ends with this status and says these words, an
# extended regular expression.
set -uo pipefail
readonly status=$1 words=$2
shift 2
output=$("$@" 2>&1)
readonly result=$?
if [[ $result -ne $status ]] || ! grep -qE -- "$words" <<<"$output"; then
  printf '%s\nexpected status %s and "%s"; the status was %s\n' "$output" "$status" "$words" "$result"
  exit 1
fi
