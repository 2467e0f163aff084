#!/bin/sh
# Sends a mail from each of five real programs to check-auth, and lets real mail servers take the replies:
# Postfix, Exim and OpenSMTPD send and receive; msmtp and swaks send, and their replies go to Postfix and
# OpenSMTPD. All of it over STARTTLS with certificates that the senders verify. Then Postfix plays four receivers of
# long ago, which take no mail in clear and know only old TLS.
#
#   tools/peers.sh
#
# By hand, as root, on Debian or a system like it, with the network for apt-get (update and download). It
# installs nothing, as the packages of the three servers exclude each other: they, and what they need that
# the system lacks, are unpacked into a temporary folder, which is laid over /usr, /etc and /var/lib in
# namespaces of this run (mounts, network, processes). So they run with the paths they were built for and
# on port 25, the system sees none of it, and nothing is left when the run ends.
#
# A line for each peer; exit code 0 only if all got their reply, with its DKIM signature verified by
# opendkim-testmsg, and TLS both ways (but see broken); the old ones over their own TLS. PEERS_LOGS=FOLDER keeps the logs and the replies.
set -eu

packages='exim4-daemon-light opensmtpd postfix'
programs='msmtp swaks libnet-ssleay-perl opendkim-tools unbound openssl iproute2'
longest=900 # seconds for the run in the namespaces

fail() {
	echo "peers: $*" >&2
	exit 1
}

# within SECONDS COMMAND...: until the command succeeds.
within() {
	tries=$(($1 * 2))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.5
	done
}

# Outside the namespaces

# lacking PACKAGE...: those of them and of what they need that the system does not have.
lacking() {
	apt-get install -s --no-install-recommends "$@" </dev/null >"$work/apt.log" 2>&1 || {
		cat "$work/apt.log" >&2
		fail "apt-get does not know how to install $*"
	}
	awk '$1 == "Inst" { print $2 }' "$work/apt.log"
}

unpack() {
	mkdir "$work/debs" "$work/root"
	apt-get -q update >"$work/apt.log" 2>&1 || echo "peers: apt-get update failed; going on with the lists that are there" >&2
	# One at a time, as they conflict. The servers themselves in any case: each has a sendmail, and the last one's is meant.
	for p in $packages; do
		echo "$p"
		lacking "$p"
	done >"$work/list"
	# shellcheck disable=SC2086 # a list
	lacking $programs >>"$work/list"
	sort -u "$work/list" | (cd "$work/debs" && xargs -r apt-get -q -o APT::Sandbox::User=root download) >"$work/apt.log" 2>&1 || {
		cat "$work/apt.log" >&2
		fail "apt-get cannot download the packages"
	}
	for deb in "$work"/debs/*.deb; do
		dpkg-deb -x "$deb" "$work/root"
	done
	# Where /bin and its like are links into /usr, what is unpacked beside /usr belongs there.
	for d in bin sbin lib; do
		if [ -d "$work/root/$d" ]; then
			cp -a "$work/root/$d/." "$work/root/usr/$d/"
		fi
	done
}

# finish ends the first process of the namespaces, and the kernel all others of them.
finish() {
	if [ -n "$child" ]; then
		kill -KILL "$child" 2>/dev/null || :
		wait "$child" 2>/dev/null || :
	fi
	rm -rf "$work"
}

outside() {
	[ "$(id -u)" = 0 ] || fail "only root can do this"
	for p in apt-get dpkg-deb unshare go; do
		command -v "$p" >/dev/null || fail "$p is not there"
	done
	cd "$(dirname "$0")/.."
	child=
	work=$(mktemp -d)
	trap finish EXIT
	trap 'exit 1' INT TERM HUP
	chmod 755 "$work"
	unpack
	go build -o "$work/check-auth" ./cmd/check-auth
	cp -r tools/peers "$work/conf"
	PEERS_INSIDE=$work unshare --mount --net --pid --fork --kill-child --mount-proc sh "$PWD/tools/peers.sh" &
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
	if [ -n "${PEERS_LOGS:-}" ] && [ -d "$work/logs" ]; then
		mkdir -p "$PEERS_LOGS"
		cp -r "$work/logs/." "$PEERS_LOGS/"
	fi
	exit "$code"
}

# Inside the namespaces

# over FOLDER: our files above the system's, writes into memory.
over() {
	mkdir -p "$live/$1/up" "$live/$1/work" "$work/root/$1"
	mount -t overlay peers -o "lowerdir=$work/root/$1:/$1,upperdir=$live/$1/up,workdir=$live/$1/work" "/$1" ||
		fail "cannot lay a folder over /$1"
}

system() {
	live=$work/live
	mkdir "$live"
	mount -t tmpfs peers "$live"
	over usr
	over etc
	over var/lib
	for d in run var/spool var/mail var/log; do
		mount -t tmpfs -o mode=755 peers "/$d"
	done
	ip link set lo up
	# Postfix listens on no address that it does not find at an interface.
	ip address add 127.0.1.2/32 dev lo
	rm -f /etc/resolv.conf
	echo 'nameserver 127.0.0.1' >/etc/resolv.conf
	echo 'hosts: files dns' >/etc/nsswitch.conf
	account tester 7701
	account postfix 7702
	account postdrop 7703
	account Debian-exim 7704
	account opensmtpd 7705
	account opensmtpq 7706
}

# account NAME ID: a user and a group, in place of the system's where it has them.
account() {
	sed -i "/^$1:/d" /etc/group /etc/passwd
	echo "$1:x:$2:" >>/etc/group
	echo "$1:x:$2:$2::/run:/usr/sbin/nologin" >>/etc/passwd
}

certificates() {
	mkdir /etc/peers
	cd /etc/peers
	openssl req -x509 -newkey rsa:2048 -nodes -keyout /run/ca.key -out ca.pem -days 2 \
		-subj '/CN=peers test CA' -addext 'basicConstraints=critical,CA:TRUE' \
		-addext 'keyUsage=critical,keyCertSign'
	openssl req -newkey rsa:2048 -nodes -keyout key.pem -out /run/cert.req -subj '/CN=check.test'
	echo 'subjectAltName=DNS:check.test,DNS:mail.postfix.test,DNS:mail.exim.test,DNS:mail.opensmtpd.test' >/run/cert.ext
	openssl x509 -req -in /run/cert.req -CA ca.pem -CAkey /run/ca.key -CAcreateserial -days 2 \
		-extfile /run/cert.ext -out cert.pem
	# Nobody would make such a certificate today.
	openssl req -x509 -newkey rsa:768 -nodes -keyout /run/weak.key -out weak.pem -days 2 -set_serial -5 -sha1 \
		-subj '/CN=mail.weak.test'
	cat /run/weak.key weak.pem >weak-chain.pem
	# OpenSMTPD reads no key that others can read; Exim reads its own as its own user.
	chgrp Debian-exim key.pem
	chmod 640 key.pem
	"$work/check-auth" keygen --selector=peers --domain=exim.test --out=dkim.pem >/run/exim.dns
	chgrp Debian-exim dkim.pem
	chmod 640 dkim.pem
	cd /
}

# domain NAME ADDRESS MX: a sender's domain, whose one host has the address.
domain() {
	cat <<-RECORDS
		$1. MX 10 $3.
		$1. TXT "v=spf1 ip4:$2 -all"
		_dmarc.$1. TXT "v=DMARC1; p=reject"
		mail.$1. A $2
		mail.$1. TXT "v=spf1 a -all"
		${2##*.}.1.0.127.in-addr.arpa. PTR mail.$1.
	RECORDS
}

records() {
	cat <<-RECORDS
		. SOA peers.test. tester.peers.test. 1 3600 600 86400 60
		check.test. MX 10 check.test.
		check.test. A 127.0.1.1
		check.test. TXT "v=spf1 a -all"
		_dmarc.check.test. TXT "v=DMARC1; p=reject"
		1.1.0.127.in-addr.arpa. PTR check.test.
	RECORDS
	domain postfix.test 127.0.1.2 mail.postfix.test
	domain exim.test 127.0.1.3 mail.exim.test
	domain opensmtpd.test 127.0.1.4 mail.opensmtpd.test
	domain msmtp.test 127.0.1.5 mail.postfix.test
	domain swaks.test 127.0.1.6 mail.opensmtpd.test
	domain tls10.test 127.0.1.11 mail.tls10.test
	domain tls11.test 127.0.1.12 mail.tls11.test
	domain rsakx.test 127.0.1.13 mail.rsakx.test
	domain weak.test 127.0.1.14 mail.weak.test
	grep -h '_domainkey.*TXT' /run/exim.dns /run/state/check-auth.dns
}

# daemon NAME COMMAND...: in the background, its words in /var/log/NAME.log.
daemon() {
	log=/var/log/$1.log
	shift
	"$@" >"$log" 2>&1 &
}

check_auth() {
	mkdir -m 700 /run/state
	daemon check-auth "$work/check-auth" serve --hostname=check.test --operator=tester@postfix.test \
		--listen=127.0.1.1:25 --smtp-loopback-clients=evaluate --state=/run/state --resolver-servers=127.0.0.1:53 \
		--tls-certificate=/etc/peers/cert.pem --tls-key=/etc/peers/key.pem \
		--deliver-allow-private --deliver-port=25 --deliver-family=ipv4 --deliver-source=127.0.1.1
	within 60 test -s /run/state/check-auth.dns || fail "check-auth does not start: $(cat /var/log/check-auth.log)"
}

resolver() {
	records | sed "s/.*/local-data: '&'/" >/run/records.conf
	daemon unbound unbound -d -c "$work/conf/unbound.conf"
}

servers() {
	chown tester:tester /var/mail
	echo mail.opensmtpd.test >/etc/mailname
	mkdir -p /var/spool/postfix /var/lib/postfix /etc/postfix
	cp "$work/conf/main.cf" "$work/conf/master.cf" /etc/postfix/
	chown postfix:postfix /var/lib/postfix
	chgrp postdrop /usr/sbin/postdrop /usr/sbin/postqueue
	chmod 2755 /usr/sbin/postdrop /usr/sbin/postqueue
	postfix start || fail "Postfix does not start: $(cat /var/log/postfix.log)"

	mkdir -p /etc/exim4 /var/spool/exim4 /var/log/exim4
	chown Debian-exim:Debian-exim /var/spool/exim4 /var/log/exim4
	cp "$work/conf/exim4.conf" /etc/exim4/
	daemon exim exim4 -bdf -q1m

	mkdir -p /var/spool/smtpd
	chmod 711 /var/spool/smtpd
	chgrp opensmtpq /usr/sbin/smtpctl
	chmod 2755 /usr/sbin/smtpctl
	ln -s /usr/sbin/smtpctl /run/sendmail # it asks by which name it was called
	daemon opensmtpd smtpd -d -f "$work/conf/smtpd.conf"
}

# listens ADDRESS: a greeting comes on port 25.
listens() {
	swaks --server "$1" --port 25 --quit-after CONNECT --timeout 5
}

# letter NAME: the test mail.
letter() {
	cat <<-MAIL
		From: tester@$1.test
		To: check-auth@check.test
		Subject: test by $1
		Date: $(date -R)
		Message-ID: <test.$(date +%s)@$1.test>
		MIME-Version: 1.0
		Content-Type: text/plain; charset=utf-8

		Is this authenticated?
	MAIL
}

# by_swaks NAME ADDRESS: swaks as a client of that domain.
by_swaks() {
	swaks --server check.test --local-interface "$2" --ehlo "mail.$1.test" --timeout 60 \
		--tls --tls-verify --tls-ca-path /etc/peers/ca.pem \
		--from "tester@$1.test" --to check-auth@check.test --data -
}

# send NAME: each program in its own way.
send() {
	letter "$1" >"/run/$1.eml"
	case $1 in
	postfix) /usr/sbin/sendmail -i -f tester@postfix.test check-auth@check.test ;;
	exim) exim4 -i -f tester@exim.test check-auth@check.test ;;
	opensmtpd) /run/sendmail -i -f tester@opensmtpd.test check-auth@check.test ;;
	msmtp) msmtp -C "$work/conf/msmtprc" check-auth@check.test ;;
	swaks) by_swaks swaks 127.0.1.6 ;;
	tls10) by_swaks tls10 127.0.1.11 ;;
	tls11) by_swaks tls11 127.0.1.12 ;;
	rsakx) by_swaks rsakx 127.0.1.13 ;;
	weak) by_swaks weak 127.0.1.14 ;;
	esac <"/run/$1.eml" >"/var/log/$1-sent.log" 2>&1
}

# answer NAME: what check-auth said at the end of the mail, by the sender's own log.
answer() {
	case $1 in
	postfix) sed -n 's/.*to=<check-auth@check.test>.*status=sent (\(.*\))$/\1/p' /var/log/postfix.log ;;
	exim) sed -n 's/.*=> check-auth@check.test.* C="\(.*\)".*/\1/p' /var/log/exim4/mainlog ;;
	opensmtpd) sed -n 's/.* mta delivery .*to=<check-auth@check.test>.* stat="\(.*\)"$/\1/p' /var/log/opensmtpd.log ;;
	msmtp) sed -n "s/.*smtpmsg='\(.*\)' errorcode.*/\1/p;s/.*smtpmsg='\(.*\)' exitcode.*/\1/p" /var/log/msmtp.log ;;
	*) sed -n 's/^<~ *\(250[ -]2.*\)/\1/p' "/var/log/$1-sent.log" ;;
	esac | tail -n 1
}

# reply NAME: the file of the reply in the mailbox.
reply() {
	find "/var/mail/$1.test/new" -type f | head -n 1
}

has_reply() {
	[ -n "$(reply "$1")" ]
}

# header FILE: its header, a field a line.
header() {
	sed '/^\r*$/q' "$1" | tr -d '\r' | sed -e ':again' -e 'N' -e '$!b again' -e 's/\n[ \t]\{1,\}/ /g'
}

# broken RECEIVER: OpenSMTPD 6.8 of Debian 12 offers STARTTLS, but cannot use its key with OpenSSL 3
# (https://github.com/OpenSMTPD/OpenSMTPD/issues/1239). check-auth must then go on in clear text.
broken() {
	[ "$1" = OpenSMTPD ] && grep -q 'disconnected reason="io-error: error:.*SSL routines' /var/log/opensmtpd.log
}

# judge NAME RECEIVER: the line of a peer; false where something is not as it should be.
judge() {
	good=yes
	said=$(answer "$1")
	case $said in *spf=pass*dmarc=pass*) ;; *) good=no ;; esac
	if ! within "$patience" has_reply "$1"; then
		echo "$1: sent: ${said:-no answer}; no reply came"
		return 1
	fi
	mail=$(reply "$1")
	# What check-auth saw of the sender's TLS stands in its report, what the receiver saw of ours in its trace.
	to=$(tr -d '\r' <"$mail" | sed -n '/^TLS check details:/,/^$/s/^Result: *pass (\(TLS 1\.[23]\).*/\1/p')
	from=$(header "$mail" | grep -i '^received:.*check\.test' | sed -n 's/.*TLSv\{0,1\}\(1\.[23]\).*/TLS \1/p' | head -n 1)
	dkim=no
	if opendkim-testmsg <"$mail" >"/var/log/$1-dkim.log" 2>&1; then
		dkim=yes
	fi
	[ -n "$to" ] && [ "$dkim" = yes ] || good=no
	if [ -z "$from" ]; then
		from='clear text'
		if broken "$2"; then
			from='clear text, as its STARTTLS fails'
		else
			good=no
		fi
	fi
	echo "$1: sent over ${to:-clear text}: ${said:-no answer}; reply received by $2 over $from:" \
		"\"$(header "$mail" | sed -n 's/^Subject: *//p')\", its DKIM signature verified: $dkim"
	[ "$good" = yes ]
}

# judge_old NAME TLS: the line of a receiver of long ago; TLS is all that it knows, in the words of its trace.
judge_old() {
	if ! within "$patience" has_reply "$1"; then
		echo "$1: a receiver of nothing but $2: no reply came;" \
			"$("$work/check-auth" queue list --state=/run/state 2>&1 | grep "@$1.test" || :)"
		return 1
	fi
	trace=$(header "$(reply "$1")" | sed -n 's/^[Rr]eceived:.*(using \([^)]*([0-9/]* bits)\).*/\1/p' | head -n 1)
	echo "$1: a receiver of nothing but $2: reply received by Postfix over ${trace:-clear text}"
	case $trace in "$2 "*) ;; *) return 1 ;; esac
}

inside() {
	work=$PEERS_INSIDE
	patience=120
	trap keep EXIT
	trap 'exit 1' INT TERM HUP
	system
	certificates >/var/log/certificates.log 2>&1 || fail "no certificates: $(cat /var/log/certificates.log)"
	check_auth
	resolver
	servers
	for address in 127.0.1.1 127.0.1.2 127.0.1.3 127.0.1.4 127.0.1.11 127.0.1.12 127.0.1.13 127.0.1.14; do
		within 60 listens "$address" || fail "nothing listens on $address"
	done
	for p in postfix exim opensmtpd msmtp swaks tls10 tls11 rsakx weak; do
		send "$p" || echo "$p: cannot send: $(tail -n 3 "/var/log/$p-sent.log")" >&2
	done
	bad=0
	judge postfix Postfix || bad=$((bad + 1))
	judge exim Exim || bad=$((bad + 1))
	judge opensmtpd OpenSMTPD || bad=$((bad + 1))
	judge msmtp Postfix || bad=$((bad + 1))
	judge swaks OpenSMTPD || bad=$((bad + 1))
	judge_old tls10 TLSv1 || bad=$((bad + 1))
	judge_old tls11 TLSv1.1 || bad=$((bad + 1))
	judge_old rsakx 'TLSv1.2 with cipher AES128-SHA' || bad=$((bad + 1))
	judge_old weak TLSv1.2 || bad=$((bad + 1))
	# What Exim has to say of the way we speak TLS is worth reading, but no mail is lost by it.
	grep -o 'TLS error.*' /var/log/exim4/mainlog | sed 's/^/exim notes: /' || :
	[ "$bad" = 0 ] || fail "$bad of 9 not as it should be; PEERS_LOGS=FOLDER keeps the logs"
	echo "peers: all 9 as it should be"
}

# keep copies what tells why a run failed to where the folders of the namespaces can be seen.
keep() {
	mkdir "$work/logs"
	cp -r /var/log /var/mail "$work/logs/"
}

if [ -n "${PEERS_INSIDE:-}" ]; then
	inside
else
	outside
fi
