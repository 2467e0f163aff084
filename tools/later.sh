#!/bin/sh
# Runs the tests as if it were so many days later (400), to find those that pass only until a date: a certificate that
# ends, a signature that expires, a fixed "now" beside the clock that a library looks at. Go builds them with a
# time.Now that is ahead, all of the standard library too; files and databases keep the real time. Needs Go alone.
#
#   tools/later.sh [DAYS [PACKAGES...]]
set -eu

days=${1:-400}
[ $# -eq 0 ] || shift
cd "$(dirname "$0")/.."
failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
clock=$(go env GOROOT)/src/time/time.go
# In a bubble of testing/synctest the time is that of the bubble.
sed "s/^\tsec, nsec, mono := runtimeNow()\$/&\n\tif !runtimeIsBubbled() {\n\t\tsec += $days * 86400\n\t}/" "$clock" >"$dir/time.go"
if [ "$(diff "$clock" "$dir/time.go" | grep -c '^>')" != 3 ]; then
	echo "time.Now of $(go version) is not the one that this knows: look at $clock" >&2
	exit 1
fi
printf '{"Replace": {"%s": "%s"}}\n' "$clock" "$dir/time.go" >"$dir/overlay.json"
for package in $(go list "${@:-./...}"); do
	go test -count=1 -vet=off -overlay="$dir/overlay.json" "$package" || failed=1
done
exit "$failed"
