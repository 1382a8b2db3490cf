#!/usr/bin/env bash
# Lets libFuzzer look for inputs that break a promise: run.sh [--seconds N] [--target NAME]... [--minimise]
#
# Each target gets its seconds, one after the other. What is found on the way is kept in fuzz/ of the target folder; an input
# that breaks a promise is put into the corpus of the repository, where `make test` replays it from then on. --minimise writes
# into the corpus the fewest inputs that reach all that was reached.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

seconds=60 targets=() minimise=
while [ $# -gt 0 ]; do
    case $1 in
        --seconds) seconds=$2; shift 2 ;;
        --target) targets+=("$2"); shift 2 ;;
        --minimise) minimise=1; shift ;;
        *) echo "usage: run.sh [--seconds N] [--target NAME]... [--minimise]" >&2; exit 2 ;;
    esac
done
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls "$here/corpus")
command -v c++ >/dev/null || { echo "libFuzzer is C++: install a C++ compiler (apt-get install g++)" >&2; exit 2; }

RUSTC_WORKSPACE_WRAPPER="$here/instrument.sh" ${CARGO:-cargo} build --locked --package onering-fuzz --features libfuzzer --bin fuzz
fuzz=${CARGO_TARGET_DIR:-target}/debug/fuzz kept_in=${CARGO_TARGET_DIR:-target}/fuzz
failures=0
printf '%-16s %12s %9s %7s  %s\n' target cases "cases/s" corpus result
for target in "${targets[@]}"; do
    kept=$kept_in/$target log=$kept_in/$target.log
    mkdir -p "$kept"
    result=holds
    ONERING_FUZZ_TARGET=$target "$fuzz" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
        -print_final_stats=1 -artifact_prefix="$here/corpus/$target/found-" "$kept" "$here/corpus/$target" 2>"$log" || result=BROKEN
    [ $result = holds ] || { failures=$((failures + 1)); result="BROKEN, see $log"; }
    stat() { sed -n "s/^stat::$1: *//p" "$log"; }
    printf '%-16s %12s %9s %7s  %s\n' "$target" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
        "$(find "$kept" -type f | wc -l)" "$result"
    if [ -n "$minimise" ]; then
        ONERING_FUZZ_TARGET=$target "$fuzz" -merge=1 "$here/corpus/$target" "$kept" 2>>"$log"
    fi
done
[ $failures = 0 ] || { echo "$failures of ${#targets[@]} targets broke a promise" >&2; exit 1; }
