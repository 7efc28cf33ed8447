#!/bin/bash
# Compares the CPU time that `sonde bench request` and wrk take for one HTTP request: 100 kept connections, closed loop,
# against nginx with its one worker on a core of its own. The clients take turns on another core, each round in the other
# order, so that neither has the better machine. What a client process used (user and system, start and end included) and
# what the kernel's softirq thread did on its core is divided by the requests that were answered.
#
# usage: bench/nginx.sh [--bin FILE] [--rounds N] [--seconds N] [--connections N] [--client-core N] [--server-core N] [--max X]
#
# Prints each round and the median of the rounds' ratios. Exit status: 0; 1 if the ratio is above --max; 2 if something is
# missing or went wrong. It installs nothing and leaves nothing behind.
set -euo pipefail
shopt -s inherit_errexit

# Numbers with a point; Debian has nginx where not every user looks.
export LC_ALL=C PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

fail() {
	printf 'nginx.sh: %s\n' "$1" >&2
	exit 2
}

sonde=$(cd "$(dirname "$0")/.." && pwd)/bin/sonde
rounds=7 seconds=5 connections=100 client_core=0 server_core=1 max=
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
		exit 0
		;;
	esac
	[ $# -ge 2 ] || fail "$1 needs a value"
	case $1 in
	--bin) sonde=$2 ;;
	--max) max=$2 ;;
	--rounds | --seconds | --connections)
		[[ $2 =~ ^[1-9][0-9]*$ ]] || fail "$1 $2: want a whole number, at least 1"
		declare "${1#--}=$2"
		;;
	--client-core) client_core=$2 ;;
	--server-core) server_core=$2 ;;
	*) fail "there is no flag $1; see --help" ;;
	esac
	shift 2
done
[[ $max =~ ^([0-9]+(\.[0-9]+)?)?$ ]] || fail "--max $max: want a number such as 1.15"

missing=
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $1 (Debian package $2)"; }
need nginx nginx-light
need wrk wrk
need taskset util-linux
need jq jq
[ -z "$missing" ] || fail "missing:$missing"
[ -x "$sonde" ] || fail "$sonde is not there; run make build, or name it by --bin"
for core in "$client_core" "$server_core"; do
	taskset -c "$core" true 2>/dev/null || fail "there is no core $core to run on; see --client-core and --server-core"
done
[ "$client_core" != "$server_core" ] || fail 'client and server are on one core'

dir=$(mktemp -d)
nginx=
finish() {
	code=$?
	trap - EXIT
	if [ -n "$nginx" ]; then
		kill "$nginx" 2>/dev/null || true
		wait "$nginx" 2>/dev/null || true
	fi
	rm -rf "$dir"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

# The page is as long as nginx's own, 615 bytes, wherever Debian keeps that. keepalive_requests: by default nginx closes a
# connection after 1,000 requests, and then it is connects that are compared.
chmod 755 "$dir"
mkdir "$dir/html"
printf '%615s' '' | tr ' ' x >"$dir/html/index.html"
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
port=18080
while answers; do port=$((port + 1)); done
cat >"$dir/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $dir/pid;
error_log $dir/error.log;
events { worker_connections $((connections + 100)); }
http {
	access_log off;
	default_type text/html;
	keepalive_requests 4294967295;
	server { listen 127.0.0.1:$port backlog=4096; root $dir/html; }
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
}
CONF
taskset -c "$server_core" nginx -c "$dir/nginx.conf" -p "$dir" -e "$dir/error.log" 2>"$dir/start" &
nginx=$!
until answers; do
	kill -0 "$nginx" 2>/dev/null || fail "nginx does not start: $(cat "$dir/start")"
	sleep 0.05
done
url=http://127.0.0.1:$port/

# softirq: the CPU seconds of the client core's softirq thread (proc_pid_stat(5)); 0 where it can't be seen.
ticks=$(getconf CLK_TCK)
softirq() {
	cat /proc/[0-9]*/stat 2>/dev/null |
		awk -v name="(ksoftirqd/$client_core)" -v ticks="$ticks" '$2 == name { s = ($14 + $15) / ticks } END { print s + 0 }'
}

# cpu COMMAND...: runs a client and prints its CPU seconds. Its output goes to $dir/out.
cpu() {
	local before after TIMEFORMAT='%3U %3S'
	before=$(softirq)
	{ time taskset -c "$client_core" "$@" >"$dir/out" 2>"$dir/err"; } 2>"$dir/time" ||
		fail "$1 failed: $(tail -n 5 "$dir/err" "$dir/out")"
	after=$(softirq)
	awk -v before="$before" -v after="$after" '{ print $1 + $2 + after - before }' "$dir/time"
}

# Each client prints the microseconds of CPU a request, and how many requests a second there were.
run_wrk() {
	local used
	used=$(cpu wrk -t1 -c"$connections" -d"${seconds}s" "$url")
	! grep -E 'Socket errors|Non-2xx' "$dir/out" >&2 || fail 'wrk saw errors'
	awk -v used="$used" -v seconds="$seconds" '/ requests in / { printf "%.3f %.0f\n", used * 1e6 / $1, $1 / seconds }' "$dir/out"
}
run_sonde() {
	local used
	rm -f "$dir/report"
	used=$(cpu "$sonde" bench request -q --talk http -c "$connections" --duration "${seconds}s" --json "$dir/report" "$url")
	jq -e '(.total.failures // []) == []' "$dir/report" >/dev/null || fail "sonde saw errors: $(jq -c .total.failures "$dir/report")"
	# The CPU time is that of all requests, those of the warm-up too.
	jq -r --arg used "$used" '.total | "\(($used | tonumber) * 1e6 / (.operations + .warm_up)) \(.operations * 1e9 / .measured_ns)"' "$dir/report" |
		awk '{ printf "%.3f %.0f\n", $1, $2 }'
}

# summary FILE: the median of the numbers in it, the least and the most.
summary() { sort -n "$1" | awk '{ a[NR] = $1 } END { print (a[int((NR + 1) / 2)] + a[int(NR / 2) + 1]) / 2, a[1], a[NR] }'; }

printf '%s connections to nginx, one worker; %s rounds of %s s each\n' "$connections" "$rounds" "$seconds"
printf '%5s  %22s  %22s  %s\n' round 'sonde us CPU, req/s' 'wrk us CPU, req/s' ratio
for ((round = 1; round <= rounds; round++)); do
	if ((round % 2)); then
		ours=$(run_sonde)
		theirs=$(run_wrk)
	else
		theirs=$(run_wrk)
		ours=$(run_sonde)
	fi
	ratio=$(awk -v a="${ours% *}" -v b="${theirs% *}" 'BEGIN { printf "%.3f", a / b }')
	# shellcheck disable=SC2086 # two words each
	printf '%5s  %12s %9s  %12s %9s  %s\n' "$round" $ours $theirs "$ratio"
	echo "${ours% *}" >>"$dir/ours"
	echo "${theirs% *}" >>"$dir/theirs"
	echo "$ratio" >>"$dir/ratios"
done

read -r ours least most < <(summary "$dir/ours")
printf 'sonde: %.2f us of CPU a request (%.2f to %.2f)\n' "$ours" "$least" "$most"
read -r theirs least most < <(summary "$dir/theirs")
printf 'wrk:   %.2f us of CPU a request (%.2f to %.2f)\n' "$theirs" "$least" "$most"
read -r ratio least most < <(summary "$dir/ratios")
printf 'ratio: %.3f (%.3f to %.3f)' "$ratio" "$least" "$most"
[ -z "$max" ] || printf ', at most %s' "$max"
printf '\n'
[ -z "$max" ] || awk -v ratio="$ratio" -v max="$max" 'BEGIN { exit ratio > max }'
