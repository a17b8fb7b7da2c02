#!/usr/bin/env bash
# A real S3 server (versitygw) on 127.0.0.1 over a folder, for the tests.
#
#   tests/s3.sh up PORT FOLDER    start it and wait until it answers; a folder in FOLDER is a bucket;
#                                 prints its process id
#
# Needs go the first time. Keys: AK and SKSKSKSK.
set -euo pipefail
VERSION=v1.8.0
ROOT="${XDG_CACHE_HOME:-$HOME/.cache}/turnstile/s3-$VERSION"
[ "${1:-}" = up ] && [ $# = 3 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
PORT=$2 FOLDER=$3
if [ ! -x "$ROOT/versitygw" ]; then
  command -v go >/dev/null || { echo "go is needed to install versitygw the first time" >&2; exit 1; }
  mkdir -p "$ROOT"
  GOBIN="$ROOT" GOFLAGS=-mod=mod go install "github.com/versity/versitygw/cmd/versitygw@$VERSION" >&2
fi
ROOT_ACCESS_KEY=AK ROOT_SECRET_KEY=SKSKSKSK \
  setsid "$ROOT/versitygw" --port "127.0.0.1:$PORT" posix "$FOLDER" >"$FOLDER.log" 2>&1 </dev/null &
PID=$!
for _ in $(seq 150); do
  kill -0 "$PID" 2>/dev/null || { cat "$FOLDER.log" >&2; exit 1; }
  if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then echo "$PID"; exit 0; fi
  sleep 0.1
done
echo "no answer on port $PORT" >&2
exit 1
