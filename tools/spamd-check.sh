#!/bin/sh
# Runs the tests of verify/spam against Debian's SpamAssassin daemon: over TCP on loopback, then over a
# Unix socket. By hand, as root: it installs the packages spamassassin and spamd where they are missing,
# for which it needs the network. The daemon asks no network itself (--local), and is ended again.
#
#   tools/spamd-check.sh [PORT]
#
# Where the system starts services when it installs them, Debian's own daemon runs afterwards:
# "systemctl disable --now spamd" ends that.
set -eu

port=${1:-17831}
cd "$(dirname "$0")/.."

fail() {
	echo "spamd-check: $*" >&2
	exit 1
}

if ! command -v spamd >/dev/null; then
	[ "$(id -u)" = 0 ] || fail "spamd is not installed, and only root can install it"
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends spamassassin spamd
fi

dir=$(mktemp -d)
pid=
# The daemon ends its own children at SIGTERM.
finish() {
	if [ -n "$pid" ]; then
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	fi
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

spamd --local --nouser-config --max-children 2 --syslog=stderr \
	--listen "127.0.0.1:$port" --listen "$dir/socket" >"$dir/log" 2>&1 &
pid=$!

tries=120
until grep -q 'server started' "$dir/log"; do
	kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; fail "spamd ended at its start"; }
	tries=$((tries - 1))
	[ "$tries" -gt 0 ] || { cat "$dir/log" >&2; fail "spamd does not start within a minute"; }
	sleep 0.5
done

spamd --version | head -n 1
for address in "127.0.0.1:$port" "$dir/socket"; do
	echo "spamd-check: $address"
	CHECK_AUTH_TEST_SPAMD=$address go test -count=1 -run 'TestReal_daemon' -v ./verify/spam
done
