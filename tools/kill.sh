#!/bin/sh
# Kills the service again and again under load (SIGKILL, at random moments) and prints what became of the mail:
# first with one delivery at once, where a kill may bring one reply twice, then with twenty (the default), where it
# may bring as many; seen with twenty: 147 in 200 kills. A kill takes about a second each time; needs Go alone.
# The seed that it prints brings the same moments again.
#
#   tools/kill.sh [KILLS [SEED]]
set -eu

kills=${1:-200}
seed=${2:-0}
cd "$(dirname "$0")/.."

for at_once in 1 20; do
	go test -count=1 -timeout=2h -run='^TestKillCycles$' -v ./cmd/check-auth -kills="$kills" -at-once="$at_once" -seed="$seed"
done
