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

not_run() {
  echo "NOT RUN: $*"
  exit 77
}

has() {
  command -v "$1" >/dev/null
}
