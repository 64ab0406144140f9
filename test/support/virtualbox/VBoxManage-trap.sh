#!/bin/sh
# A wrapper that precedes VBoxManage on PATH: logs each call that changes something, and kills one of the callers.
#   FLEET_TEST_VBOX       the real VBoxManage
#   FLEET_TEST_CALLS      a file with a line for each call
#   FLEET_TEST_KILL_AT    `before N` or `after N`: kills the caller before or after the nth logged call
case $1-$2-$3 in
  --version-* | list-* | show* | getextradata-* | snapshot-*-list) exec "$FLEET_TEST_VBOX" "$@" ;;
esac
echo "$*" >>"$FLEET_TEST_CALLS"
number=$(wc -l <"$FLEET_TEST_CALLS")
if [ "$FLEET_TEST_KILL_AT" = "before $number" ]; then
  kill -KILL $PPID
  exit 1
fi
"$FLEET_TEST_VBOX" "$@"
code=$?
[ "$FLEET_TEST_KILL_AT" = "after $number" ] && kill -KILL $PPID
exit $code
