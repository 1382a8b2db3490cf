#!/bin/sh
# Installs Postgres and Redis for the dev stack and the tests, where they are absent.
#
#   deploy/dev/install-servers.sh [--with-nginx]
#
# --with-nginx installs nginx as well, which `onering bench` measures beside and sends webhooks to.
#
# As root, or with sudo that asks no password: by apt-get, without starting a service or making a cluster. Otherwise the
# packages are unpacked into .tools/, where the dev stack finds them. A server whose URL is given (DATABASE_URL,
# REDIS_URL) is not installed. May be run any number of times; quick when there is nothing to do.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
tools=$root/.tools

say() { printf '%s\n' "$*" >&2; }

die() {
    say "install-servers: $*"
    exit 1
}

# Whether both programs of Postgres are at hand: in PATH, in Debian's place, or unpacked.
have_postgres() {
    command -v postgres >/dev/null 2>&1 && command -v initdb >/dev/null 2>&1 && return 0
    for bin in /usr/lib/postgresql/*/bin "$tools"/usr/lib/postgresql/*/bin; do
        [ -x "$bin/postgres" ] && [ -x "$bin/initdb" ] && return 0
    done
    return 1
}

have_redis() {
    command -v redis-server >/dev/null 2>&1 || [ -x /usr/bin/redis-server ] || [ -x "$tools/usr/bin/redis-server" ]
}

have_nginx() {
    command -v nginx >/dev/null 2>&1 || [ -x /usr/sbin/nginx ] || [ -x "$tools/usr/sbin/nginx" ]
}

with_nginx=
case "${1:-}" in
    '') ;;
    --with-nginx) with_nginx=1 ;;
    *) die "there is no option $1; --with-nginx is the only one." ;;
esac

wanted=
if [ -z "${DATABASE_URL:-}" ] && ! have_postgres; then wanted="$wanted postgresql"; fi
if [ -z "${REDIS_URL:-}" ] && ! have_redis; then wanted="$wanted redis-server"; fi
if [ -n "$with_nginx" ] && ! have_nginx; then wanted="$wanted nginx-light"; fi
[ -n "$wanted" ] || exit 0
say "Installing:$wanted"

if ! command -v apt-get >/dev/null 2>&1; then
    case $(uname -s) in
        Darwin) hint="brew install postgresql@16 redis${with_nginx:+ nginx} && export PATH=\"\$(brew --prefix postgresql@16)/bin:\$PATH\"" ;;
        *) hint="install$wanted with this system's package manager" ;;
    esac
    die "there is no apt-get here: $hint; or set DATABASE_URL and REDIS_URL to servers of yours."
fi

# Installs with root's rights, which `$1` (nothing, or sudo) gives. The packages' scripts must not start a service on
# the standard ports nor make a cluster: what we need is only the programs.
install_with() {
    # shellcheck disable=SC2086 # lists of words
    $1 sh -eu -s -- $wanted <<'INSTALL'
policy=/usr/sbin/policy-rc.d
conf=/etc/postgresql-common/createcluster.conf
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
# Only where Postgres was never configured; the package keeps a file that is there.
if [ ! -e "$conf" ]; then
    mkdir -p "${conf%/*}"
    printf 'create_main_cluster = false\n' >"$conf"
fi
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
# Lists that are a little old may still do.
apt-get -qq -o Acquire::Retries=3 update || printf 'apt-get update failed; trying with the lists at hand\n' >&2
apt-get -qq -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold install -y --no-install-recommends "$@" >/dev/null
INSTALL
}

# Unpacks the packages, and those of their dependencies that the system lacks, into .tools/.
unpack() {
    command -v dpkg >/dev/null 2>&1 || die "there is no dpkg to unpack packages with."
    packages=$(
        # shellcheck disable=SC2086 # a list of names
        apt-get --simulate --no-install-recommends install $wanted 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p'
    )
    [ -n "$packages" ] || die "apt-get does not know$wanted; run \`apt-get update\` as root, or set DATABASE_URL and REDIS_URL."
    downloads=$tools/downloads
    mkdir -p "$downloads"
    # shellcheck disable=SC2086 # a list of names
    (cd "$downloads" && apt-get -qq -o Acquire::Retries=3 download $packages) ||
        die "the packages could not be downloaded; install$wanted as root, or set DATABASE_URL and REDIS_URL."
    for package in "$downloads"/*.deb; do
        dpkg -x "$package" "$tools"
    done
    rm -rf "$downloads"
}

if [ "$(id -u)" -eq 0 ]; then
    install_with ''
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    install_with 'sudo -n'
else
    say "No root's rights here: the packages are unpacked into $tools."
    unpack
fi

if [ -z "${DATABASE_URL:-}" ]; then have_postgres || die "Postgres was installed and is still not found."; fi
if [ -z "${REDIS_URL:-}" ]; then have_redis || die "Redis was installed and is still not found."; fi
if [ -n "$with_nginx" ]; then have_nginx || die "nginx was installed and is still not found."; fi
say "Installed:$wanted"
