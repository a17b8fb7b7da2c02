#!/usr/bin/env bash
# Says which of Nexmark's own query files run here, as a table.
#
#   queries/nexmark/official.sh FOLDER
#
# FOLDER is `nexmark-flink/src/main/resources/queries` of a checkout of
# github.com/nexmark/nexmark. Each file is taken unchanged behind the benchmark's own
# tables and views, and checked twice: over an endless topic, and over one that ends.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
folder=$1
turnstile=${TURNSTILE:-turnstile}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export NEXMARK_TABLE=kafka BOOTSTRAP_SERVERS=localhost:9092
export FLINK_HOME=/flink NEXMARK_DIR=/nexmark SUBMIT_TIME=now

verdict() {
  local said
  if said=$("$turnstile" check "$1" 2>&1); then
    echo runs
  else
    echo "refused: $(sed -n 's/^error: //p' <<<"$said" | head -1)"
  fi
}

echo '| query | endless topic | topic that ends |'
echo '|---|---|---|'
for n in $(seq 0 23); do
  cat "$folder/ddl_kafka.sql" "$folder/ddl_views.sql" "$folder/q$n.sql" >"$work/endless.sql"
  sed "s/'connector' = 'kafka',/&\n'scan.bounded.mode' = 'latest-offset',/" "$work/endless.sql" >"$work/ends.sql"
  endless=$(verdict "$work/endless.sql")
  ends=$(verdict "$work/ends.sql")
  [ "$ends" != "$endless" ] || ends='the same'
  echo "| $n | $endless | $ends |"
done
