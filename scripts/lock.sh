#!/usr/bin/env bash
# Writes the lock files anew from pyproject.toml: exact versions with hashes, one file for every system, no addresses.
# The development lock comes first, for some tools pin what the service needs too (ccxt does); the other follows it.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_CUSTOM_COMPILE_COMMAND="bash scripts/lock.sh"
uv=(uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --quiet "$@")
"${uv[@]}" --extra dev --output-file requirements-dev.lock pyproject.toml
"${uv[@]}" --constraint requirements-dev.lock --output-file requirements.lock pyproject.toml
