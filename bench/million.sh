#!/usr/bin/env bash
# A million TCP connections on one machine: `sonde serve` in worker processes on one side, `sonde bench hold` in worker
# processes on the other, a heartbeat over each connection once a minute, for three minutes. It takes some 12 GiB of memory,
# most of it the kernel's, 2 million descriptors of all processes together, and about five minutes.
#
#   bench/million.sh [--bin FILE] [--connections N] [--workers N] [--rate N] [--duration TIME] [--ping TIME] [--json FILE]
#
# It exits with 1 if a connection was lost or could not be had.
set -euo pipefail

sonde=bin/sonde connections=1000000 workers=56 rate=20k duration=3m ping=60s json=
while (($# > 0)); do
	(($# > 1)) || { echo "million.sh: $1 wants a value" >&2; exit 2; }
	case $1 in
	--bin) sonde=$2 ;;
	--connections) connections=$2 ;;
	--workers) workers=$2 ;;
	--rate) rate=$2 ;;
	--duration) duration=$2 ;;
	--ping) ping=$2 ;;
	--json) json=$2 ;;
	*) echo "million.sh: unknown flag $1" >&2; exit 2 ;;
	esac
	shift 2
done
[[ -x $sonde ]] || { echo "million.sh: $sonde is not there: make build" >&2; exit 2; }

dir=$(mktemp -d)
server= client=
finish() {
	for pid in $client $server; do # the client first: it tells what it has
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

"$sonde" serve --quiet --kinds echo --workers "$workers" --targets "$dir/targets" &
server=$!
for _ in $(seq 100); do
	[[ -s $dir/targets ]] && break
	kill -0 "$server" 2>/dev/null || { echo "million.sh: the fleet did not start" >&2; exit 1; }
	sleep 0.1
done

# Two source addresses: no pair of source and target carries more than 12,000 connections.
"$sonde" bench hold -f "$dir/targets" -c "$connections" --workers "$workers" --source-ip 127.1.0.0/31 --rate "$rate" \
	--duration "$duration" --ping-interval "$ping" --connect-timeout 10s --fail-on-error --json "$dir/report.json" &
client=$!
wait "$client" # and not in the foreground: a signal to this script is heeded at once
[[ -z $json ]] || cp "$dir/report.json" "$json"
