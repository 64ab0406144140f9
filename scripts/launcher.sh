#!/bin/sh
# The first lines of the program. The build puts them before main.js, without these comments, in a JavaScript comment.
# (They must not contain the end of a JavaScript comment.) When main.js is executed, it is a shell script that starts
# Node.js with itself.
#
# Node.js looks for its own options in all arguments: for --env-file even after the script, and for
# --experimental-config-file even after "--". Therefore each argument that begins with - or : is prefixed with a colon,
# which argv.ts removes. The first argument, a single colon, indicates that this was done.
command -v node >/dev/null || {
  echo "fleet: cannot find node on the PATH; install Node.js 20.19 or later" >&2
  exit 127
}
fleet_words= fleet_count=0
for fleet_word; do
  fleet_count=$((fleet_count + 1))
  case $fleet_word in
  [-:]*) fleet_words="$fleet_words \":\${$fleet_count}\"" ;;
  *) fleet_words="$fleet_words \"\${$fleet_count}\"" ;;
  esac
done
eval "exec node -- \"\$0\" : $fleet_words"
