#!/bin/sh
# The programs beside Python that some tests talk to; without them those tests skip.
# "list" names on standard error what is missing and how to get it; "install" installs it where
# this is root on a system with apt, and goes on without it where that does not work.
set -u
PATH="$PATH:/usr/sbin" # where Debian keeps what listens on the network

has() { command -v "$1" >/dev/null 2>&1; }

missing=
has chromium || has chromium-browser || has google-chrome || missing="chromium"
has mosquitto || missing="${missing:+$missing }mosquitto"
[ -z "$missing" ] && exit 0

get() {
    apt-get -qq -o DPkg::Lock::Timeout=120 update &&
        # Unquoted: one word for each package.
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
            -o DPkg::Lock::Timeout=120 install $missing
}

case ${1:-} in
list)
    echo "some tests will skip without: $missing (Debian: apt install $missing)" >&2
    ;;
install)
    if [ "$(id -u)" != 0 ] || ! has apt-get; then
        exec "$0" list
    fi
    echo "installing for the tests: $missing" >&2
    # The tests start a broker of their own; the package's must not start here beside it.
    policy=${POLICY:-/usr/sbin/policy-rc.d}
    if [ ! -e "$policy" ] && printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"; then
        trap 'rm -f "$policy"' EXIT
        trap 'exit 1' HUP INT TERM
    fi
    said=$(get 2>&1) || { sleep "${RETRY_SECONDS:-10}" && said=$(get 2>&1); } ||
        printf '%s\nnot installed, so some tests will skip: %s\n' "$said" "$missing" >&2
    ;;
*)
    echo "usage: test_programs.sh list|install" >&2
    exit 2
    ;;
esac
exit 0
