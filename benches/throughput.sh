#!/usr/bin/env bash
# Events per CPU-second of the queries in benches/sql, from a real Kafka, beside
# the raw drain of the same topic.
#
#   benches/throughput.sh [MILLIONS_OF_BIDS] [MILLIONS_OF_READINGS]
#
# Needs java and mvn (tests/kafka.sh). CPU-seconds are user and system time of the
# process itself, the broker left out. Absolute numbers mean little on a shared
# machine: compare the lines of one run.
set -euo pipefail
cd "$(dirname "$0")/.."
BIDS=${1:-5} READINGS=${2:-5}
TARGET=${CARGO_TARGET_DIR:-target}/release
cargo build --release --bin turnstile --example bids --example drain
export KAFKA_PORT=${KAFKA_PORT:-19592}
export KAFKA_ROOT=${KAFKA_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/turnstile/kafka-bench}
export BROKERS=127.0.0.1:$KAFKA_PORT
tests/kafka.sh up "$KAFKA_PORT"
trap 'tests/kafka.sh down' EXIT
WORK=$(mktemp -d)
export TURNSTILE_STATE_PATH=$WORK/state

measure() { # NAME EVENTS COMMAND...
  local name=$1 events=$2; shift 2
  local start end
  start=$(date +%s.%N)
  TIMEFORMAT='%U %S'
  { time "$@" >"$WORK/log" 2>&1; } 2>"$WORK/time" || { cat "$WORK/log"; exit 1; }
  end=$(date +%s.%N)
  awk -v name="$name" -v events="$events" -v wall="$(echo "$end $start" | awk '{print $1-$2}')" \
    '{cpu=$1+$2; printf "%-26s %6.2f s wall %7.3f M/s %7.2f CPU-s %7.3f M events per CPU-s\n",
      name, wall, events/wall/1e6, cpu, events/cpu/1e6}' "$WORK/time"
}

bids=bids-$BIDS readings=readings-$READINGS
tests/kafka.sh topic "$bids" 4 >/dev/null
tests/kafka.sh topic "$readings" 4 >/dev/null
[ -e "$KAFKA_ROOT/data/$bids.full" ] || { "$TARGET/examples/bids" "$BROKERS" "$bids" "${BIDS}000000"; touch "$KAFKA_ROOT/data/$bids.full"; }
[ -e "$KAFKA_ROOT/data/$readings.full" ] || {
  "$TARGET/turnstile" produce turnstile --bootstrap-servers "$BROKERS" --topic "$readings" --events "${READINGS}000000"
  touch "$KAFKA_ROOT/data/$readings.full"
}
measure "drain bids" "${BIDS}000000" "$TARGET/examples/drain" "$BROKERS" "$bids"
for query in q-tumble q-filter q-hop; do
  TOPIC=$bids OUT=$WORK/$query measure "$query" "${BIDS}000000" "$TARGET/turnstile" run "benches/sql/$query.sql"
done
# What saving progress costs: never until the end, and each second.
for interval in 1h 1s; do
  TOPIC=$bids OUT=$WORK/saved-$interval TURNSTILE_JOB_NAME=saved-$interval \
    TURNSTILE_EXECUTION_CHECKPOINTING_INTERVAL=$interval \
    measure "q-tumble, saved each $interval" "${BIDS}000000" "$TARGET/turnstile" run benches/sql/q-tumble.sql
done
measure "drain readings" "${READINGS}000000" "$TARGET/examples/drain" "$BROKERS" "$readings"
TOPIC=$readings OUT=$WORK/q-turnstile measure "q-turnstile" "${READINGS}000000" \
  "$TARGET/turnstile" run benches/sql/q-turnstile.sql
rm -rf "$WORK"
