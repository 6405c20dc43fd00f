# What the checks of deploy/ have in common: each prints what it does and ends with 0 (good), 1 (failed) or 77 (not run, and
# the last line says why). To be sourced, from the repository's root.
set -euo pipefail
TOOLS="${L3BOOK_TOOLS:-$PWD/.tools}"
PATH="$TOOLS/bin:$PATH"
PYTHON="${PYTHON:-.venv/bin/python}"

step() {
  echo "+ $*"
  "$@" || { echo "FAILED: $*"; exit 1; }
}

# Runs tests. One that skips is no failure, but no pass either: `good` says so.
skipped=""
tests() {
  local said
  echo "+ pytest $*"
  said=$("$PYTHON" -m pytest -q -rs --color=no -p no:cacheprovider "$@" 2>&1) || { echo "$said"; echo "FAILED: pytest $*"; exit 1; }
  echo "$said"
  skipped+=$(sed -n 's/^SKIPPED \[[0-9]*\] [^ ]* //p' <<<"$said" | sort -u | sed 's/$/. /' | tr -d '\n')
}

# The end of a check that has found nothing wrong.
good() {
  [ -z "$skipped" ] || not_run "tests have skipped (the rest is good): ${skipped%. }"
  echo "$*"
}

not_run() {
  echo "NOT RUN: $*"
  exit 77
}

has() {
  command -v "$1" >/dev/null
}
