#!/bin/sh
# Attacks a real check-auth serve on production defaults: port 25, real source addresses, connections to public
# addresses alone. A network namespace has a loopback that plays the Internet (45.0.0.0/8, 2a00::/16), with a DNS and
# mail servers of which some hang, drip, or speak no TLS. One attack at a time, each with a fresh state folder, and
# beside each of them honest senders from 60 networks who want their reports. A line of the table for each: what came of
# it, how many honest reports came within 30 s, how many honest senders heard 4xx and 5xx, and whether it is within the
# bar; exit code 0 only if all are.
#
#   tools/attack.sh [-logs FOLDER] [NAME...]
#   tools/attack.sh -list
#
# Without names it is all of them but "forged", which takes a quarter of an hour: 20,000 forged mails. By hand, as root, with Go
# and iproute2, on two processors: about twelve minutes. Nothing leaves the namespace, and nothing is left when
# the run ends. CHECK_AUTH=FILE attacks that program in place of one that is built from the tree.
set -eu

longest=2400 # seconds for the whole run

fail() {
	echo "attack: $*" >&2
	exit 2
}

# finish ends the first process of the namespaces, and the kernel all others of them.
finish() {
	if [ -n "$child" ]; then
		kill -KILL "$child" 2>/dev/null || :
		wait "$child" 2>/dev/null || :
	fi
	rm -rf "$work"
}

for p in unshare ip go; do
	command -v "$p" >/dev/null || fail "$p is not there"
done
child=
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap finish EXIT
trap 'exit 2' INT TERM HUP
(cd "$here" && go build -o "$work/attack" ./attack)
if [ "${1:-}" = -list ]; then
	"$work/attack" -list
	exit 0
fi
[ "$(id -u)" = 0 ] || fail "only root can do this"
if [ -n "${CHECK_AUTH:-}" ]; then
	cp "$CHECK_AUTH" "$work/check-auth"
else
	(cd "$here/.." && go build -o "$work/check-auth" ./cmd/check-auth)
fi
ulimit -n 20000
mkdir "$work/tmp"
TMPDIR=$work/tmp unshare --mount --net --pid --fork --kill-child --mount-proc "$work/attack" -program "$work/check-auth" "$@" &
child=$!
left=$longest
while kill -0 "$child" 2>/dev/null; do
	left=$((left - 1))
	[ "$left" -gt 0 ] || fail "not finished within $longest seconds"
	sleep 1
done
code=0
wait "$child" || code=$?
child=
exit "$code"
