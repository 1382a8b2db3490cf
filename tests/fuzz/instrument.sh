#!/bin/sh
# Cargo's RUSTC_WORKSPACE_WRAPPER of `make fuzz`: compiles our own crates with the coverage counters that libFuzzer is guided
# by. LLVM's pass does that on stable Rust; only its sanitizers are for nightly. What runs while compiling stays plain.
set -eu
case " $* " in
    *" --crate-name build_script_build "* | *" --crate-type proc-macro "*) exec "$@" ;;
esac
exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Clink-arg=-Wl,-z,nostart-stop-gc
