#!/bin/sh
# Says hello once a second, until it is told to stop.
trap exit TERM
count=0
while count=$((count + 1)); do
  echo "hello $count from $(hostname)"
  sleep 1 &
  wait $!
done
