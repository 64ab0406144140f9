#!/bin/sh
# The program's first lines. The build puts them before main.js, as a comment of JavaScript: run as a program, the file is
# a shell script that starts Node.js with itself. (No apostrophe may stand in a comment here, nor the end of such a comment.)
#
# Node.js looks for options of its own in all arguments: --env-file even behind the script, --experimental-config-file
# even behind "--". Each argument that begins with - or : is therefore given with a colon before it, which argv.ts takes off;
# the first argument, a single colon, says that this was done.
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
