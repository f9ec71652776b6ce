#!/bin/sh
# Runs on an empty data folder, and again at every `up`.
set -eu
SEVE_WRITER_PASSWORD="$(cat /run/secrets/postgres_writer)"
SEVE_OPERATOR_PASSWORD="$(cat /run/secrets/postgres_operator)"
SEVE_HISTORY_PASSWORD="$(cat /run/secrets/postgres_history)"
export SEVE_WRITER_PASSWORD SEVE_OPERATOR_PASSWORD SEVE_HISTORY_PASSWORD
psql -X -q -U postgres -d seve -f /etc/seve/roles.sql
