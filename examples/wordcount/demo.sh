#!/usr/bin/env bash
# Counts the words of Moby-Dick on a loopback cluster of one JobManager and two TaskManagers, three processes, and stops
# the cluster again, also when it is interrupted.
set -euo pipefail
cd "$(dirname "$0")/../.."
wasmill=$PWD/bin/wasmill
out=$PWD/bin/demo/counts
cluster=$(mktemp -d)
stop() { "$wasmill" cluster stop --dir "$cluster" >/dev/null && rm -rf "$cluster"; }
trap stop EXIT

echo '$ wasmill cluster start --taskmanagers 2 --slots 2'
url=$("$wasmill" cluster start --dir "$cluster" --taskmanagers 2 --slots 2 | tail -n 1)
echo "$url"
rm -rf "$out"
echo "\$ wasmill run wordcount-go.wasm --param input=moby-dick.txt --param output=counts --parallelism 2 --jobmanager $url"
"$wasmill" run bin/guests/wordcount-go.wasm --param input="$PWD/examples/data/moby-dick.txt" --param output="$out" \
	--parallelism 2 --jobmanager "$url"
echo
echo 'the twenty most frequent words:'
sort -t $'\t' -k 2,2nr -k 1,1 "$out"/part-* | awk 'NR <= 20 { printf "%8d  %s\n", $2, $1 }'
echo "the whole result: ${out#"$PWD"/}/part-*"
