#!/bin/sh
# Applies the roles: when the data folder is created, and at every `up`.
set -eu
SEVE_WRITER_PASSWORD="$(cat /run/secrets/postgres_writer)"
SEVE_OPERATOR_PASSWORD="$(cat /run/secrets/postgres_operator)"
SEVE_HISTORY_PASSWORD="$(cat /run/secrets/postgres_history)"
export SEVE_WRITER_PASSWORD SEVE_OPERATOR_PASSWORD SEVE_HISTORY_PASSWORD
psql -X -q -U postgres -d seve -f /etc/seve/roles.sql
