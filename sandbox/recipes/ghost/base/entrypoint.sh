#!/bin/sh
# Ghost reads no secrets from files, so they become variables here.
set -e

password="$(cat /run/secrets/db_password)"
export database__connection__password="$password"

exec docker-entrypoint.sh "$@"
