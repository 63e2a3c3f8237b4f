#!/usr/bin/env bash
# Runs every check: ruff, mypy, pytest (on SQLite and PostgreSQL). Sets up .venv with the development tools first.
# Arguments go to pytest: bash scripts/test.sh tests/unit -k settings
set -euo pipefail
cd "$(dirname "$0")/.."

# The page tests drive Chromium. Without root they are skipped where it is missing.
if ! command -v chromedriver >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing Chromium for the page tests …"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core \
        >/dev/null || echo "Chromium could not be installed: the page tests will be skipped."
fi

. scripts/setup.sh requirements-dev.lock
for tool in "ruff check ." "mypy" "mypy --strict --follow-imports=silent alerts service run.py"; do
    echo "== $tool"
    # shellcheck disable=SC2086
    "$VENV_PYTHON" -m $tool
done

# Everything kept in a database is tested on PostgreSQL too, by a server of our own for the time of the tests.
. scripts/postgres.sh
trap postgres_stop EXIT
postgres_start || true
if [ $# -gt 0 ]; then
    echo "== pytest"
    "$VENV_PYTHON" -m pytest -q "$@"
    exit
fi

# Two rows of tests at once, for most of them wait: the second row's output is shown when the first is through.
# The unit tests must take every branch of the heart (pyproject.toml); the crash trial has enough to do without counting.
trial=tests/unit/test_crash_trial.py
others=("$trial")
for folder in tests/*/; do
    case "$folder" in tests/unit/ | tests/acceptance/ | */__pycache__/) ;; *) others+=("$folder") ;; esac
done
second="$(mktemp "${TMPDIR:-/tmp}/trellis-tests.XXXXXX")"
"$VENV_PYTHON" -m pytest -q "${others[@]}" >"$second" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; rm -f "$second"; postgres_stop' EXIT
failed=0
echo "== pytest tests/unit, with coverage"
"$VENV_PYTHON" -m coverage run -m pytest -q tests/unit "--ignore=$trial" || failed=1
"$VENV_PYTHON" -m coverage report || failed=1
echo "== pytest tests/acceptance"
"$VENV_PYTHON" -m pytest -q tests/acceptance || failed=1
echo "== pytest ${others[*]}"
wait "$pid" || failed=1
cat "$second"
exit $failed
