# A throwaway PostgreSQL server for the tests, run by somebody who is not root; to be sourced.
#   postgres_start    exports TRELLIS_TEST_POSTGRES; returns 1, with a word on stderr, where there is no server to start
#   postgres_stop     ends it and removes its files
# A server that TRELLIS_TEST_POSTGRES names already is used as it is.

POSTGRES_FOLDER=""

# The folder of PostgreSQL's own programs: Debian keeps them out of the PATH.
postgres_programs() {
    local found
    for found in "${POSTGRES_PROGRAMS:-}" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) \
        "$(command -v pg_config >/dev/null 2>&1 && pg_config --bindir)" "$(dirname "$(command -v initdb || true)")"; do
        if [ -n "$found" ] && [ -x "$found/initdb" ] && [ -x "$found/pg_ctl" ]; then
            echo "$found"
            return 0
        fi
    done
    return 1
}

# Run as somebody who is not root: PostgreSQL refuses root.
postgres_as() {
    if [ "$(id -u)" != 0 ]; then
        "$@"
    else
        setpriv --reuid="$POSTGRES_USER" --regid="$POSTGRES_USER" --clear-groups "$@"
    fi
}

postgres_start() {
    [ -z "${TRELLIS_TEST_POSTGRES:-}" ] || return 0
    local programs port word log
    if ! programs="$(postgres_programs)" && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "Installing PostgreSQL for the tests …" >&2
        DEBIAN_FRONTEND=noninteractive apt-get update -qq >/dev/null 2>&1 &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null 2>&1
    fi
    if ! programs="$(postgres_programs)"; then
        echo "There is no PostgreSQL here: its tests will be skipped." >&2
        return 1
    fi
    POSTGRES_USER=postgres
    id "$POSTGRES_USER" >/dev/null 2>&1 || POSTGRES_USER=nobody
    POSTGRES_FOLDER="$(mktemp -d "${TMPDIR:-/tmp}/trellis-postgres.XXXXXX")"
    POSTGRES_PROGRAMS="$programs"
    log="$POSTGRES_FOLDER/log"
    word="$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
    port="$("${VENV_PYTHON:-python3}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
    (umask 077 && printf '%s\n' "$word" >"$POSTGRES_FOLDER/word")
    [ "$(id -u)" != 0 ] || chown -R "$POSTGRES_USER" "$POSTGRES_FOLDER"
    # Nothing here outlives the tests, so nothing waits for the disk.
    if ! (cd "$POSTGRES_FOLDER" &&
        postgres_as "$programs/initdb" -D "$POSTGRES_FOLDER/data" -U trellis -E UTF8 --no-locale --no-sync \
            --auth=scram-sha-256 --pwfile="$POSTGRES_FOLDER/word" >"$log" 2>&1 &&
        postgres_as "$programs/pg_ctl" -D "$POSTGRES_FOLDER/data" -w -t 60 -l "$POSTGRES_FOLDER/data/log" start \
            -o "-c listen_addresses=127.0.0.1 -p $port -k $POSTGRES_FOLDER -c fsync=off -c max_connections=200" \
            >>"$log" 2>&1); then
        echo "PostgreSQL could not be started, its tests will be skipped:" >&2
        tail -n 5 "$log" >&2
        postgres_stop
        return 1
    fi
    export TRELLIS_TEST_POSTGRES="postgresql://trellis:$word@127.0.0.1:$port/postgres"
}

postgres_stop() {
    [ -n "$POSTGRES_FOLDER" ] || return 0
    if [ -f "$POSTGRES_FOLDER/data/postmaster.pid" ]; then
        (cd "$POSTGRES_FOLDER" && postgres_as "$POSTGRES_PROGRAMS/pg_ctl" -D "$POSTGRES_FOLDER/data" -m immediate -w stop \
            >/dev/null 2>&1) || true
        unset TRELLIS_TEST_POSTGRES
    fi
    rm -rf "$POSTGRES_FOLDER"
    POSTGRES_FOLDER=""
}
