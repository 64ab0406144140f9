#!/bin/sh
# Prints a greeting every second until it gets SIGTERM.
trap exit TERM
count=0
while count=$((count + 1)); do
  echo "hello $count from $(hostname)"
  sleep 1 &
  wait $!
done
