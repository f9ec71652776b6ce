#!/usr/bin/env bash
# Keeps the contract of the official image: POSTGRES_USER, POSTGRES_PASSWORD(_FILE), POSTGRES_DB,
# POSTGRES_HOST_AUTH_METHOD and /docker-entrypoint-initdb.d/*.{sh,sql} initialise an empty data folder, once; then this
# process becomes the server.
set -euo pipefail

[[ ${1:-} == -* ]] && set -- postgres "$@"
[[ ${1:-} == postgres ]] || exec "$@"

if [[ $(id -u) == 0 ]]; then
  install -d -o postgres -g postgres -m 700 "$PGDATA"
  exec gosu postgres "$0" "$@"
fi

secret() { # secret NAME: prints the variable, or the contents of the file named by NAME_FILE
  local file="${1}_FILE"
  if [[ -n ${!file:-} ]]; then cat "${!file}"; else printf '%s' "${!1:-}"; fi
}

initialise() {
  local user=${POSTGRES_USER:-postgres} method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256} password file
  local database=${POSTGRES_DB:-$user}
  password=$(secret POSTGRES_PASSWORD)
  [[ -n $password || $method == trust ]] || { echo "POSTGRES_PASSWORD is not set" >&2; exit 1; }
  initdb -U "$user" --pwfile=<(printf '%s\n' "${password:-unused}") -E UTF8 --locale=C.UTF-8 -A "$method" --auth-local=trust >/dev/null
  printf 'host all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
  printf "listen_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
  [[ -z ${TIMESCALEDB:-} ]] || printf "shared_preload_libraries = 'timescaledb'\ntimescaledb.telemetry_level = off\n" >>"$PGDATA/postgresql.conf"
  pg_ctl -s -w -o "-c listen_addresses=''" start >/dev/null
  [[ $database == postgres ]] || createdb -U "$user" "$database"
  [[ -z ${TIMESCALEDB:-} ]] || psql -q -v ON_ERROR_STOP=1 -U "$user" -d "$database" -c 'CREATE EXTENSION timescaledb' >/dev/null 2>&1
  export PGUSER=$user PGDATABASE=$database
  for file in /docker-entrypoint-initdb.d/*; do
    case $file in
      *.sh) if [[ -x $file ]]; then "$file"; else . "$file"; fi ;;
      *.sql) psql -q -v ON_ERROR_STOP=1 -f "$file" ;;
    esac
  done
  unset PGUSER PGDATABASE
  pg_ctl -s -m fast -w stop
}

[[ -s $PGDATA/PG_VERSION ]] || initialise
exec "$@"
