#!/bin/sh
# Installs valgrind, which `make bench-budget` counts instructions with, where it is absent.
#
#   deploy/dev/install-valgrind.sh
#
# As root, or with sudo that asks no password, by apt-get; otherwise it says how and fails.
set -eu

command -v valgrind >/dev/null 2>&1 && exit 0

die() {
    printf 'install-valgrind: %s\n' "$*" >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || die "there is no apt-get here: install valgrind with this system's package manager."

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root='sudo -n'
else
    die "there are no root's rights here: run \`apt-get install valgrind\` as root."
fi

printf 'Installing: valgrind\n' >&2
# Lists that are a little old may still do.
$as_root apt-get -qq -o Acquire::Retries=3 update || printf 'apt-get update failed; trying with the lists at hand\n' >&2
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 install -y --no-install-recommends valgrind >/dev/null ||
    die "apt-get could not install valgrind."
command -v valgrind >/dev/null 2>&1 || die "valgrind was installed and is still not found."
