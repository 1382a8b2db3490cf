#!/bin/sh
# Runs the shared Postgres of the tests and ends it when nobody has used it for a while.
#
#   keeper.sh RUN_DIRECTORY SERVER_DIRECTORY IDLE_SECONDS COMMAND [ARGUMENT…]
#
# A test process holds a shared lock on RUN_DIRECTORY/lease while it lives, and takes start.lock before it takes its
# lease. So whoever holds start.lock and an exclusive lock on the lease knows that nobody uses the server or is about to.
set -u
run=$1
dir=$2
idle=$3
shift 3

command -v flock >/dev/null || {
    echo "keeper.sh: flock (of util-linux) is needed to share a Postgres between tests" >&2
    exit 1
}

data=
previous=
for argument in "$@"; do
    [ "$previous" = -D ] && data=$argument
    previous=$argument
done

"$@" &
server=$!

end() {
    rm -f -- "$run/server.url"
    kill -INT "$server" 2>/dev/null
    wait "$server"
    rm -rf -- "$data" "$dir"
    # Data that was moved out of a directory Postgres cannot enter leaves an empty one behind.
    rmdir -- "${data%/*}" 2>/dev/null
    exit 0
}
trap end INT TERM

quiet=0
while kill -0 "$server" 2>/dev/null; do
    sleep 2
    # `cargo clean` has taken the ground away.
    [ -d "$dir" ] || end
    exec 8<"$run/lease"
    if flock -n -x 8; then quiet=$((quiet + 2)); else quiet=0; fi
    exec 8<&-
    [ "$quiet" -ge "$idle" ] || continue
    exec 7<"$run/start.lock"
    if flock -n -x 7; then
        exec 8<"$run/lease"
        flock -n -x 8 && end
        exec 8<&-
    fi
    exec 7<&-
done
rm -rf -- "$data" "$dir"
