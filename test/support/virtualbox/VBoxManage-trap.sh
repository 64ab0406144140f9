#!/bin/sh
# Put before VBoxManage on PATH: notes each call that changes something, and kills who makes the one that is told.
#   FLEET_TEST_VBOX       the real VBoxManage
#   FLEET_TEST_CALLS      a file with a line for each call
#   FLEET_TEST_KILL_AT    `before N`, `after N`
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
