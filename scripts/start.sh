#!/usr/bin/env bash
# Starts Trellis on Linux and macOS: sets up .venv in the clone, then the demo, or the service when a token is configured.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh requirements.lock
if [ -n "${TRELLIS_TELEGRAM_TOKEN:-}" ]; then
    exec "$VENV_PYTHON" run.py "$@"
fi
exec "$VENV_PYTHON" run.py demo "$@"
