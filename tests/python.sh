#!/usr/bin/env bash
# Prints the path of a Python that has DuckDB: the tests' independent reader.
# Makes a venv in the user's cache the first time.
set -euo pipefail
VENV="${XDG_CACHE_HOME:-$HOME/.cache}/turnstile/python"
if ! "$VENV/bin/python" -c 'import duckdb' 2>/dev/null; then
  command -v python3 >/dev/null || { echo "python3 is needed" >&2; exit 1; }
  python3 -m venv "$VENV" >&2
  "$VENV/bin/pip" install --quiet --disable-pip-version-check duckdb >&2
fi
echo "$VENV/bin/python"
