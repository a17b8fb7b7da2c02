#!/usr/bin/env bash
# Runs a real one-node Apache Kafka (KRaft) on 127.0.0.1, from Maven Central's jars.
#
#   tests/kafka.sh up [PORT]        start the broker, or find it running; waits until it answers
#   tests/kafka.sh down             stop it; its data stays
#   tests/kafka.sh topic NAME PARTITIONS [KEY=VALUE ...]   create a topic if it is not there
#   tests/kafka.sh rmtopic NAME     delete a topic
#   tests/kafka.sh status           is it up?
#   tests/kafka.sh wipe             stop it and delete its data; the jars stay
#
# Needs java 17 or later, and mvn on the first run. Environment, all optional:
#   KAFKA_VERSION      4.3.1
#   KAFKA_PORT         client port, 9092; the controller listens on the next one
#   KAFKA_ROOT         where jars and data live, ${XDG_CACHE_HOME:-$HOME/.cache}/turnstile/kafka
#   KAFKA_JARS         where the jars live, if not there
#   KAFKA_HEAP         the JVM's heap, 1g
#   KAFKA_EXTRA        a file of server properties that come last
#   KAFKA_FORMAT_ARGS  arguments of the data folder's formatting, such as --add-scram
set -euo pipefail

version=${KAFKA_VERSION:-4.3.1}
root=${KAFKA_ROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/turnstile/kafka}
jars=${KAFKA_JARS:-$root}/jars-$version
data=$root/data
pid_file=$data/pid
port=${KAFKA_PORT:-$(cat "$data/port" 2>/dev/null || echo 9092)}
start_seconds=60
stop_seconds=30

fail() {
  echo "kafka.sh: $*" >&2
  exit 1
}

usage() {
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
  exit 2
}

# Leaves the broker's jars in $jars. A folder of that name is complete: it is
# moved there in one step.
fetch_jars() {
  [ -d "$jars" ] && return
  command -v mvn >/dev/null || fail "mvn is needed once, to fetch Kafka $version"
  mkdir -p "$(dirname "$jars")"
  local work
  work=$(mktemp -d "$(dirname "$jars")/fetch.XXXXXX")
  # shellcheck disable=SC2064 # the folder's name is known now, and local
  trap "rm -rf '$work'" EXIT
  cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>turnstile</groupId>
  <artifactId>test-broker</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka-tools</artifactId>
      <version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
POM
  mvn --quiet --batch-mode --file "$work/pom.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$work/jars" ||
    fail "mvn could not fetch Kafka $version"
  mv "$work/jars" "$jars"
}

tool() {
  java -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$jars/*" "$@"
}

topics() {
  tool org.apache.kafka.tools.TopicCommand --bootstrap-server "127.0.0.1:$port" "$@"
}

broker_pid() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  grep -qa kafka.Kafka "/proc/$pid/cmdline" 2>/dev/null || return 1
  echo "$pid"
}

answers() {
  (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

write_config() {
  mkdir -p "$data"
  echo "$port" >"$data/port"
  local client=127.0.0.1:$port controller=127.0.0.1:$((port + 1))
  cat >"$data/server.properties" <<CONFIG
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$controller
listeners=PLAINTEXT://$client,CONTROLLER://$controller
advertised.listeners=PLAINTEXT://$client
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
log.dirs=$data/log
log.retention.ms=-1
log.retention.bytes=-1
auto.create.topics.enable=false
num.partitions=1
message.max.bytes=10485760
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
CONFIG
  if [ -n "${KAFKA_EXTRA:-}" ]; then
    cat "$KAFKA_EXTRA" >>"$data/server.properties"
  fi
}

format_data() {
  [ -e "$data/log/meta.properties" ] && return
  local id
  id=$(tool kafka.tools.StorageTool random-uuid)
  # shellcheck disable=SC2086 # several arguments in one variable
  tool kafka.tools.StorageTool format --cluster-id "$id" \
    --config "$data/server.properties" ${KAFKA_FORMAT_ARGS:-} >"$data/format.log" 2>&1 ||
    fail "the data folder could not be formatted, see $data/format.log"
}

up() {
  fetch_jars
  if broker_pid >/dev/null; then
    wait_until_it_answers
    echo "127.0.0.1:$port"
    return
  fi
  if answers; then fail "port $port is taken"; fi
  write_config
  format_data
  setsid nohup java -Xms256m -Xmx"${KAFKA_HEAP:-1g}" -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError \
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
    -cp "$jars/*" kafka.Kafka "$data/server.properties" >"$data/broker.log" 2>&1 </dev/null &
  echo $! >"$pid_file"
  wait_until_it_answers
  echo "127.0.0.1:$port"
}

wait_until_it_answers() {
  local deadline=$((SECONDS + start_seconds))
  until answers; do
    # The process names itself a moment after it is started.
    kill -0 "$(cat "$pid_file")" 2>/dev/null || {
      tail -n 20 "$data/broker.log" >&2
      fail "the broker died, see $data/broker.log"
    }
    [ "$SECONDS" -lt "$deadline" ] || fail "no answer on port $port after $start_seconds s"
    sleep 0.2
  done
}

down() {
  local pid
  if ! pid=$(broker_pid); then
    rm -f "$pid_file"
    echo "not running"
    return
  fi
  kill "$pid"
  local deadline=$((SECONDS + stop_seconds))
  while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.2; done
  if kill -0 "$pid" 2>/dev/null; then kill -9 "$pid"; fi
  rm -f "$pid_file"
  echo stopped
}

create_topic() {
  local name=$1 partitions=$2 setting
  shift 2
  local configs=()
  for setting in "$@"; do configs+=(--config "$setting"); done
  topics --create --if-not-exists --topic "$name" --partitions "$partitions" \
    --replication-factor 1 ${configs[@]+"${configs[@]}"}
}

case "${1:-}" in
  up)
    port=${2:-$port}
    up
    ;;
  down) down ;;
  topic)
    [ $# -ge 3 ] || usage
    shift
    create_topic "$@"
    ;;
  rmtopic)
    [ $# -eq 2 ] || usage
    topics --delete --if-exists --topic "$2"
    ;;
  status)
    if pid=$(broker_pid); then
      echo "up on 127.0.0.1:$port, process $pid"
    else
      echo down
      exit 1
    fi
    ;;
  wipe)
    down
    rm -rf "${data:?}"
    ;;
  *) usage ;;
esac
