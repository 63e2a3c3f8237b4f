#!/bin/sh
# What the container runs: checks the volume, then becomes the service, so that SIGTERM reaches it.
set -eu
cd "$(dirname "$0")/.."
umask 077
home=${TRELLIS_HOME:-/data}
export TRELLIS_HOME="$home"
if ! mkdir -p "$home" 2>/dev/null || ! [ -w "$home" ]; then
    echo "The state folder $home cannot be written by user $(id -u): give the volume to that user (chown) or mount another." >&2
    exit 1
fi
exec "${PYTHON:-python}" run.py "$@"
