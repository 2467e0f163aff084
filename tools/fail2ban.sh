#!/bin/sh
# Gives the log lines of a real run (TestFail2ban of cmd/check-auth) to fail2ban's own fail2ban-regex with the filter of
# deploy/fail2ban: as lines, as JSON, and as entries of a journal. Each attack has to be a match and nothing else. The
# jail is read too. By hand, as root where something is missing: it installs Debian's fail2ban, python3-systemd and
# systemd-journal-remote, for which it needs the network. No service is started.
#
#   tools/fail2ban.sh
set -eu

cd "$(dirname "$0")/.."

fail() {
	echo "fail2ban: $*" >&2
	exit 1
}

remote=/lib/systemd/systemd-journal-remote
if ! command -v fail2ban-regex >/dev/null || [ ! -x "$remote" ] || ! python3 -c 'import systemd.journal' 2>/dev/null; then
	[ "$(id -u)" = 0 ] || fail "fail2ban, python3-systemd and systemd-journal-remote are needed, and only root can install them"
	apt-get update -qq
	# Debian starts what it installs, unless this says no.
	policy=/usr/sbin/policy-rc.d ours=
	if [ ! -e "$policy" ]; then
		ours=$policy
		trap 'rm -f "$ours"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 755 "$policy"
	fi
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends fail2ban python3-systemd systemd-journal-remote >/dev/null
	[ -z "$ours" ] || rm -f "$ours"
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

go test -count=1 -run '^TestFail2ban$' ./cmd/check-auth -fail2ban-lines="$dir"
read -r attacks good <"$dir/count"

# check LOG MATCHED MISSED: the numbers that fail2ban-regex has to say.
check() {
	said=$(fail2ban-regex "$1" deploy/fail2ban/filter.d/check-auth.conf | grep '^Lines:') || fail "$1: fail2ban-regex does not run"
	echo "$(basename "$1"): $said"
	case $said in
	*" 0 ignored, $2 matched, $3 missed"*) ;;
	*) fail "$1: want $2 matched and $3 missed" ;;
	esac
}

check "$dir/refused.log" "$attacks" 0
check "$dir/good.log" 0 "$good"
check "$dir/refused.json" "$attacks" 0
check "$dir/good.json" 0 "$(wc -l <"$dir/good.json")"

# The journal has all of it, and the attacks once more under another unit, which journalmatch leaves out.
"$remote" -o "$dir/run.journal" - <"$dir/journal.export" 2>/dev/null
check "systemd-journal[journalfiles=$dir/run.journal]" "$attacks" "$(($(grep -c '^_SYSTEMD_UNIT=check-auth.service' "$dir/journal.export") - attacks))"

# The jail takes it as fail2ban reads its configuration.
cp -r /etc/fail2ban "$dir/etc"
cp deploy/fail2ban/filter.d/check-auth.conf "$dir/etc/filter.d/"
cp deploy/fail2ban/jail.d/check-auth.conf "$dir/etc/jail.d/"
fail2ban-client -c "$dir/etc" -d 2>/dev/null | grep -F "'check-auth'" >"$dir/jail" || fail "the jail is not read"
grep -q "'addjournalmatch', '_SYSTEMD_UNIT=check-auth.service'" "$dir/jail" || fail "the jail reads all of the journal"
grep -q "'maxretry', 10" "$dir/jail" || fail "the jail's maxretry is not read"
echo "fail2ban: all as it should be"
