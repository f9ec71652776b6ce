#!/bin/sh
# watch.sh DATA PROBE COMMAND...   starts the program of a container, and restarts it if it runs but does not work.
#
# PROBE is a shell command that exits with 0 while the program works; DATA is a folder on the disk that the program
# needs. The rules are those of embedded mode (seve_embedded/supervision/treatment.py). A fault has to last for 20 s
# before a restart, or for 300 s if the program has not worked yet. Restarts are 30 s apart, then twice as long each
# time, up to 600 s; after 300 s without a fault, 30 s again. There is none while the disk has less than 64 MiB free;
# with more space, the next one is at once. A program that ends by itself ends the container, which Docker restarts. It
# is a shell script because the images of the servers have a POSIX shell and no Python.
set -u
: "${WATCH_PATIENCE:=20}" "${WATCH_START:=300}" "${WATCH_FIRST:=30}" "${WATCH_LONGEST:=600}" "${WATCH_WELL:=300}"
: "${WATCH_FULL_KIB:=65536}" "${WATCH_LOW_KIB:=10485760}" "${WATCH_WARN_AGAIN:=3600}" "${WATCH_EVERY:=3}"
data=$1 probe=$2
shift 2

now() {
  read -r uptime _ </proc/uptime
  echo "${uptime%.*}"
}

full() { [ "$(df -Pk "$data" | awk 'NR == 2 { print $4 }')" -lt "$WATCH_FULL_KIB" ]; }

# Less free than a tenth of the disk, or than 10 GiB if that is less, as in seve_embedded/shared/disk.py.
low() {
  df -Pk "$data" | awk -v most="$WATCH_LOW_KIB" 'NR == 2 { least = $2 / 10; exit !($4 < (least < most ? least : most)) }'
}

# Passes on a signal: at once, or as soon as the program runs.
tell() { kill -"$1" "$child" 2>/dev/null || missed=$1; }

# Starts the program, and a timer that interrupts the wait for its end.
start() {
  "$@" &
  child=$!
  if [ "$missed" ]; then tell "$missed"; missed=''; fi
  (while sleep "$WATCH_EVERY"; do kill -USR1 $$; done) &
  timer=$!
}

# Stops the program. In a container this shell is process 1, and all other processes belong to the program.
end() {
  kill -KILL "$timer"
  kill -TERM "$child" 2>/dev/null
  for _ in 1 2 3; do
    kill -0 "$child" 2>/dev/null || return 0
    sleep 1 &
    wait $!
  done
  if [ $$ = 1 ]; then kill -KILL -1; else kill -KILL "$child"; fi
  wait "$child"
}

stopped='' missed='' child='' timer=''
trap : USR1
trap 'tell HUP' HUP # the program reloads its files
trap 'stopped=1; tell TERM' TERM
trap 'stopped=1; tell INT' INT

start "$@"
faulty='' well='' allowed=0 interval=$WATCH_FIRST patience=$WATCH_START was_full='' warn=0
while :; do
  wait "$child"
  code=$?
  if ! kill -0 "$child" 2>/dev/null; then
    kill -KILL "$timer"
    exit "$code"
  fi
  [ "$stopped" ] && continue
  if [ "$(now)" -ge "$warn" ] && low; then
    echo "watch: the disk of $data is nearly full: make room, or nothing more will be stored" >&2
    warn=$(($(now) + WATCH_WARN_AGAIN))
  fi
  if why=$(timeout 4 sh -c "$probe" 2>&1); then
    faulty='' patience=$WATCH_PATIENCE well=${well:-$(now)}
    [ $(($(now) - well)) -lt "$WATCH_WELL" ] || interval=$WATCH_FIRST
    continue
  fi
  well='' faulty=${faulty:-$(now)}
  if full; then
    [ "$was_full" ] || echo "watch: the disk of $data is full: nothing is restarted until there is room" >&2
    was_full=1 allowed=0 patience=$WATCH_PATIENCE
    continue
  fi
  was_full=
  if [ $(($(now) - faulty)) -ge "$patience" ] && [ "$(now)" -ge "$allowed" ]; then
    echo "watch: restarting a program that does not work: ${why:-it does not answer}" >&2
    end
    [ "$stopped" ] && exit 0
    start "$@"
    faulty='' patience=$WATCH_START allowed=$(($(now) + interval)) interval=$((interval * 2))
    [ "$interval" -le "$WATCH_LONGEST" ] || interval=$WATCH_LONGEST
  fi
done
