# Sourced by start.sh and test.sh: makes .venv in the clone and installs the lock file named as the argument into it.
# Sets VENV_PYTHON. What is installed already is not installed again.

say() { printf '%s\n' "$*" >&2; }

find_python() { # the first Python that is new enough
    local name
    for name in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return 0
        fi
    done
    say "Trellis needs Python 3.11 or newer. Install it (python.org, or your system's packages) and run this again."
    return 1
}

make_venv() {
    local python
    python=$(find_python) || return 1
    if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        say "This Python cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install python3-venv"
        return 1
    fi
    rm -rf .venv
    "$python" -m venv .venv || {
        rm -rf .venv
        say "The virtual environment .venv could not be made (see above)."
        return 1
    }
}

VENV_PYTHON="$PWD/.venv/bin/python"
setup_lock=$1
if ! "$VENV_PYTHON" -c 'import pip' >/dev/null 2>&1; then # none yet, half made, or its Python has gone
    say "Setting up .venv …"
    make_venv || exit 1
fi
# A copy of the installed lock file says whether there is anything to do.
if ! cmp -s "$setup_lock" .venv/installed.lock; then
    say "Installing the dependencies of $setup_lock (a minute or two the first time) …"
    rm -f .venv/installed.lock
    "$VENV_PYTHON" -m pip install -qq --require-hashes --no-deps -r "$setup_lock" || {
        say "The dependencies could not be installed (see above). Check the network connection and run this again."
        exit 1
    }
    cp "$setup_lock" .venv/installed.lock
fi
