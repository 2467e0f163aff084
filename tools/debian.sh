#!/bin/sh
# Sets the service up on a booted Debian 12 as the README says, word for word, and then does to it what happens to a
# service: SIGHUP, a restarted journal, a renewed certificate, an address that comes late, a resolver that dies.
#
#   tools/debian.sh
#
# By hand, as root, with the packages debootstrap, systemd-container and iproute2, Go, and the network for Debian's
# packages. The system is made in a temporary folder (or, with DEBIAN_ROOT=FOLDER, in that folder, where it is
# kept for the next run) and booted by systemd-nspawn. It has a network namespace without a way out: a resolver, the
# senders and the server that takes the replies are at the other end of its only cable.
#
# A line for each check; exit code 0 only if all hold. DEBIAN_LOGS=FOLDER keeps the journal and the replies.
set -eu

longest=600 # seconds for the run in the namespaces
packages=systemd,systemd-sysv,dbus,netbase,iproute2,procps,acl,ca-certificates,sudo,openssl,unbound,swaks,libnet-ssleay-perl,libio-socket-inet6-perl,python3-aiosmtpd,python3-certbot
host=verifier.example.org
ours=45.80.20.10
ours6=2a0e:97c0:3ea::10
late=45.80.20.77
world=45.80.20.1
tester=45.80.20.30
tester6=2a0e:97c0:3ea::30

fail() {
	echo "debian: $*" >&2
	exit 1
}

# within SECONDS COMMAND...: until the command succeeds.
within() {
	tries=$(($1 * 4))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.25
	done
}

# Outside the namespaces

finish() {
	if [ -n "$child" ]; then
		kill -TERM "$child" 2>/dev/null || :
		wait "$child" 2>/dev/null || :
	fi
	rm -rf "$work"
}

outside() {
	[ "$(id -u)" = 0 ] || fail "only root can do this"
	for p in debootstrap systemd-nspawn ip unshare go; do
		command -v "$p" >/dev/null || fail "$p is not there: apt-get install debootstrap systemd-container iproute2, and Go"
	done
	cd "$(dirname "$0")/.."
	child=
	work=$(mktemp -d)
	trap finish EXIT
	trap 'exit 1' INT TERM HUP
	base=${DEBIAN_ROOT:-$work/base}
	if [ ! -e "$base/etc/debian_version" ]; then
		mkdir -p "$base"
		debootstrap --variant=minbase --include="$packages" bookworm "$base" http://deb.debian.org/debian >"$work/debootstrap.log" 2>&1 ||
			fail "debootstrap: $(tail -n 5 "$work/debootstrap.log")"
	fi
	mkdir "$work/up" "$work/ovl" "$work/root"
	CGO_ENABLED=0 go build -o "$work/check-auth" ./cmd/check-auth
	cp -r deploy README.md tools/debian "$work"/
	DEBIAN_WORK=$work DEBIAN_BASE=$base unshare --mount --net --fork --kill-child sh "$PWD/tools/debian.sh" &
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
	if [ -n "${DEBIAN_LOGS:-}" ] && [ -d "$work/logs" ]; then
		mkdir -p "$DEBIAN_LOGS"
		cp -r "$work/logs/." "$DEBIAN_LOGS/"
	fi
	exit "$code"
}

# Inside the namespaces: here is the world, in the booted system is the service.

# on COMMAND...: in the booted system, as root.
on() {
	nsenter -t "$leader" -a -- /usr/bin/env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root "$@"
}

# out COMMAND...: with the system's programs, in the world.
out() {
	chroot "$work/root" "$@"
}

checks=0 bad=0
# check TEXT COMMAND...: a line.
check() {
	text=$1
	shift
	checks=$((checks + 1))
	if "$@" >"$work/check.log" 2>&1; then
		echo "ok      $text"
	else
		bad=$((bad + 1))
		echo "NOT OK  $text"
		tail -n 5 "$work/check.log" | sed 's/^/          /'
	fi
}

records() {
	# The records of the README's step 2, with the names and addresses of this run.
	sed -e '/^;/d' -e '/^ *$/d' -e "s/192\.0\.2\.25/$ours/" -e "s/2001:db8::25/$ours6/" \
		-e "s/^25\.2\.0\.192\.in-addr/10.20.80.45.in-addr/" "$work/deploy/zone.example"
	cat <<-RECORDS
		good.example. IN MX 10 mx.good.example.
		good.example. IN TXT "v=spf1 ip4:$tester ip6:$tester6 -all"
		mx.good.example. IN A $tester
		30.20.80.45.in-addr.arpa. IN PTR mx.good.example.
		good2.example. IN MX 10 mx.good.example.
		good2.example. IN TXT "v=spf1 ip4:$tester ip6:$tester6 -all"
		good3.example. IN MX 10 mx.good.example.
		good3.example. IN TXT "v=spf1 ip4:$tester ip6:$tester6 -all"
		. IN NS ns.good.example.
	RECORDS
}

network() {
	ip link set lo up
	within 20 ip link show dev ve-debian || fail "there is no cable to the booted system"
	ip link set ve-debian up
	ip address add $world/24 dev ve-debian
	ip address add $tester/24 dev ve-debian
	ip -6 address add $tester6/64 dev ve-debian nodad
	on ip link set lo up
	on ip link set host0 up
	on ip address add $ours/24 dev host0
	on ip -6 address add $ours6/64 dev host0 nodad
}

resolver() {
	records | sed "s/.*/local-data: '&'/" >"$work/root/run-records.conf"
	cp "$work/debian/unbound.conf" "$work/root/run-unbound.conf"
	chroot "$work/root" unbound -d -c /run-unbound.conf >"$work/logs/unbound.log" 2>&1 &
	unbound=$!
	within 20 answers || fail "no resolver: $(cat "$work/logs/unbound.log")"
}

answers() { out python3 -c "
import socket,sys
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(1)
s.sendto(b'\0\1\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1',('$world',53)); s.recv(512)"; }

boot() {
	mount -t tmpfs debian "$work/up" # what the run writes goes when it ends
	mkdir "$work/up/up" "$work/up/work"
	mount -t overlay debian -o "lowerdir=$DEBIAN_BASE,upperdir=$work/up/up,workdir=$work/up/work" "$work/root"
	out systemctl disable unbound fail2ban >/dev/null 2>&1 || :
	rm -f "$work/root/etc/resolv.conf"
	echo "nameserver $world" >"$work/root/etc/resolv.conf"
	echo mx >"$work/root/etc/hostname"
	printf '127.0.0.1 localhost mx\n::1 localhost\n' >"$work/root/etc/hosts"
	mkdir -p "$work/root/root/check-auth/cmd" "$work/root/var/log/journal"
	cp -r "$work/check-auth" "$work/deploy" "$work/debian" "$work/root/root/check-auth/"
	mv "$work/root/root/check-auth/check-auth" "$work/root/root/check-auth/built"
	# The README's line builds the program; that was done by the same line outside, where Go is.
	printf '#!/bin/sh\ncp built check-auth\n' >"$work/root/usr/local/bin/go"
	chmod 755 "$work/root/usr/local/bin/go"
	systemd-nspawn -D "$work/root" --boot --register=no --keep-unit --network-veth --resolv-conf=off --machine=debian \
		--console=pipe </dev/null >"$work/logs/boot.log" 2>&1 &
	nspawn=$!
	within 30 pgrep -P $nspawn || fail "nothing boots: $(cat "$work/logs/boot.log")"
	leader=$(pgrep -P $nspawn | head -n 1)
	within 60 booted || fail "not booted: $(on systemctl --failed)"
}

booted() { case $(on systemctl is-system-running) in running | degraded) ;; *) return 1 ;; esac; }

# commands N: the commands that step N of the README's hosting section prints, one a line.
commands() {
	python3 "$work/debian/readme.py" "$work/README.md" commands "$1"
}

# configuration N: the TOML of step N.
configuration() {
	python3 "$work/debian/readme.py" "$work/README.md" toml "$1" | sed "s/you@example\.org/admin@good.example/"
}

# step N: its commands, as they stand there.
step() {
	commands "$1" >"$work/step"
	while read -r line; do
		does=$line
		case $line in
		'sudo apt install '*) does="dpkg -s ${line#sudo apt install }" ;; # there is no way out to install it now
		esac
		check "README, step $1: $line" on sh -c "cd /root/check-auth && $does" </dev/null
	done <"$work/step"
}

# write TEXT: the configuration.
write() {
	printf '%s\n' "$1" >"$work/root/tmp-config"
	on sh -c 'mkdir -p /etc/check-auth && cp /tmp-config /etc/check-auth/config.toml'
}

active() { [ "$(on systemctl is-active check-auth)" = active ]; }
restarts() { on systemctl show -p NRestarts --value check-auth; }
journal() { on journalctl -u check-auth -o cat --no-pager "$@"; }
# said WORDS: since the mark the journal has a line with them.
said() { journal --since "@$mark" | grep -q -e "$1"; }
# An address and a second are all that the journal's time is exact to.
note() { sleep 1; mark=$(date +%s); }

# letter FROM SERVER LOCAL: a test mail; its SMTP answer is printed.
letter() {
	n=$((${n:-0} + 1))
	out swaks --server "$2" --port 25 --local-interface "$3" --ehlo mx.good.example --timeout 30 \
		--from "$1" --to check-auth@$host --header "Subject: test $n" --header "Message-ID: <$n.$mark@good.example>" --body "$n" 2>&1 |
		tee "$work/logs/swaks-$n.log" | grep -E '^<(~|\*\*|-) *[245][0-9][0-9]' | tail -n 2
}
hears() { # WANT FROM SERVER LOCAL
	want=$1
	shift
	letter "$1" "$2" "$3" | tee "$work/said" | grep -q -e "$want" || { cat "$work/said"; return 1; }
}
replies() { find "$work/root/mail" -type f 2>/dev/null | wc -l; }
more_replies() { [ "$(replies)" -gt "$before" ]; }

certbot() { on python3 /root/check-auth/debian/lineage.py "$@"; }
# shown: the serial number of the certificate that STARTTLS presents.
shown() {
	out sh -c "openssl s_client -connect $ours:25 -starttls smtp </dev/null 2>/dev/null | openssl x509 -noout -serial"
}
serial() { on openssl x509 -noout -serial -in /etc/letsencrypt/live/$host/fullchain.pem; }
shows_it() { [ "$(shown)" = "$(serial)" ]; }

inside() {
	work=$DEBIAN_WORK
	mkdir "$work/logs"
	trap keep EXIT
	trap 'exit 1' INT TERM HUP
	mark=$(date +%s)
	boot
	network
	resolver
	chroot "$work/root" python3 -m aiosmtpd -n -u -l $tester:25 -c aiosmtpd.handlers.Mailbox /mail >"$work/logs/sink.log" 2>&1 &
	sink=$!
	readme
	signals
	renewal
	comes_late
	trouble
	[ "$bad" = 0 ] || fail "$bad of $checks checks do not hold; DEBIAN_LOGS=FOLDER keeps the logs"
	echo "debian: all $checks checks hold"
}

# readme: what a new user does, and what he then has.
readme() {
	step 1
	check "README, step 2: the records are there" answers
	step 3
	write "$(configuration 3)"
	note
	step 5 # to its end: with the socket unit
	check "the unit is active, its sockets held by the service manager" within 20 active
	before=$(replies)
	check "a mail over IPv4 hears 250 spf=pass" hears 'spf=pass' zoe@good.example $ours $tester
	check "its reply arrives" within 30 more_replies
	on systemctl disable --now check-auth.socket
	on systemctl restart check-auth || :
	check "the unit is active without the socket" within 20 active
	check "it listens on IPv4 and IPv6" both
	check "the version stands in the first line" first_line
	check "the journal has no error" no_error
	check "the DKIM record is on disk" on test -s /var/lib/check-auth/check-auth.dns
	before=$(replies)
	check "a mail over IPv4 hears 250 spf=pass" hears 'spf=pass' anna@good.example $ours $tester
	check "its reply arrives" within 30 more_replies
	before=$(replies)
	check "a mail over IPv6 hears 250 spf=pass" hears 'spf=pass' anna@good2.example $ours6 $tester6
	check "its reply arrives" within 30 more_replies
	check "a client on loopback hears 451 4.3.5" loopback
}

both() {
	on ss -ltnH 'sport = 25' >"$work/ss"
	grep -q '0\.0\.0\.0:25' "$work/ss" && grep -q '\[::\]:25' "$work/ss" || { cat "$work/ss"; return 1; }
}
first_line() { journal | head -n 3 | grep -q 'version='; }
no_error() { on journalctl -u check-auth -p err -q --no-pager >"$work/errors" && ! grep -q . "$work/errors" || { cat "$work/errors"; return 1; }; }
loopback() {
	on swaks --server 127.0.0.1 --port 25 --ehlo x.good.example --from anna@good.example --to check-auth@$host 2>&1 |
		tee "$work/said" | grep -q '451.4.3.5' || { tail -n 4 "$work/said"; return 1; }
}

signals() {
	was=$(restarts)
	note
	on systemctl kill -s HUP --kill-who=main check-auth || :
	check "SIGHUP: it lives" sleep_active
	check "SIGHUP: it says what it read again" within 5 said 'read again'
	on systemctl kill -s PIPE --kill-who=main check-auth || :
	check "SIGPIPE: it lives" sleep_active
	on systemctl stop systemd-journald.socket systemd-journald-dev-log.socket systemd-journald-audit.socket systemd-journald
	hears 250 'x@good.example' $ours $tester >/dev/null 2>&1 || : # a line while there is no journal
	on systemctl start systemd-journald.socket systemd-journald-dev-log.socket systemd-journald
	check "journald stopped and started: it lives" sleep_active
	note
	on systemctl reload check-auth || :
	check "what it says then is in the journal" within 10 said 'read again'
	check "not once was it started anew" [ "$(restarts)" = "$was" ]
}
sleep_active() { sleep 1; active; }

renewal() {
	certbot new $host
	step 4
	write "$(configuration 3; configuration 4)"
	on systemctl restart check-auth || :
	check "certbot's certificate is presented" within 20 shows_it
	certbot renew $host
	note
	on systemctl reload check-auth || :
	check "renewed, with reload as deploy hook: the new one is presented" within 20 shows_it
	on systemctl restart check-auth || :
	check "after the renewal it starts again" within 20 active
	check "and presents the new one" within 20 shows_it
	on setfacl -R -b /etc/letsencrypt/live /etc/letsencrypt/archive
	on chmod 700 /etc/letsencrypt/live /etc/letsencrypt/archive
	note
	on systemctl restart check-auth || :
	check "a certificate that it may not read: it starts all the same" within 20 active
	check "and an ERROR has the command" within 5 error_has setfacl
	check "STARTTLS is offered all the same" within 5 shown
	step 4
	note
	on systemctl reload check-auth || :
	check "after that command it is presented again" within 20 shows_it
	certbot expired $host
	note
	on systemctl restart check-auth || :
	check "an expired certificate: it starts all the same" within 20 active
	check "and an ERROR has the command" within 5 error_has 'certbot renew'
	certbot renew $host
	on systemctl reload check-auth || :
}
error_has() { on journalctl -u check-auth -p err -q -o cat --no-pager --since "@$mark" | grep -q -e "$1"; }

comes_late() {
	on systemctl stop check-auth
	write "$(configuration 3 | sed "s/^listen.*/listen = [\"$late:25\"]/")"
	was=$(restarts)
	on systemctl start --no-block check-auth
	sleep 5
	on ip address add $late/24 dev host0
	check "an address that comes 5 s late: it is active then" within 20 active
	on systemctl stop check-auth
	write "$(configuration 3)"
	on systemctl start check-auth || :
	check "with the README's lines again" within 20 active
}

trouble() {
	check "a test before the resolver dies" within 70 hears '250.2.0.0 spf=pass' carl@good3.example $ours $tester
	kill $unbound
	wait $unbound 2>/dev/null || :
	note
	check "the resolver is dead: 451 4.4.3" hears '451.4.4.3' dora@good3.example $ours $tester
	check "and the journal warns" within 10 warned
	resolver
	sleep 6
	check "it is back: 250" within 20 hears '250.2.0.0 spf=pass' dora@good3.example $ours $tester
	note
	on ip address add 127.0.0.53/8 dev lo 2>/dev/null || :
	echo "nameserver 45.80.20.2" >"$work/root/resolv.new"
	ip address add 45.80.20.2/24 dev ve-debian
	on sh -c 'cat /resolv.new >/etc/resolv.conf'
	check "a new /etc/resolv.conf is read" within 75 said '45.80.20.2'
}
warned() { on journalctl -u check-auth -p warning -q -o cat --no-pager --since "@$mark" | grep -q -i resolver; }

keep() {
	on journalctl -u check-auth --no-pager >"$work/logs/journal.log" 2>&1 || :
	cp -r "$work/root/mail" "$work/logs/" 2>/dev/null || :
	on systemctl poweroff --force --force >/dev/null 2>&1 || :
	for p in ${nspawn:-} ${unbound:-} ${sink:-}; do
		kill "$p" 2>/dev/null || :
	done
	wait 2>/dev/null || :
}

if [ -n "${DEBIAN_WORK:-}" ]; then
	inside
else
	outside
fi
