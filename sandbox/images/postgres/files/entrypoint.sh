# Makes the database at the first start, as the official image does. Here a password is asked for on the socket, too.
set -e
bin=/usr/lib/postgresql/15/bin
data=${PGDATA:-/var/lib/postgresql/data}
user=${POSTGRES_USER:-postgres}
name=${POSTGRES_DB:-$user}
if [ -n "$POSTGRES_PASSWORD_FILE" ]; then POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); fi
mkdir -p "$data" /var/run/postgresql
chown -R postgres "$data" /var/run/postgresql
chmod 700 "$data"
as_postgres() { su -s /bin/sh postgres -c "$1"; }
if [ ! -s "$data/PG_VERSION" ]; then
    echo "$POSTGRES_PASSWORD" > /tmp/password
    chown postgres /tmp/password
    as_postgres "$bin/initdb -D $data --username=$user --pwfile=/tmp/password --auth=scram-sha-256 --locale=C --encoding=UTF8"
    rm /tmp/password
    echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
    if [ "$name" != postgres ]; then
        echo "CREATE DATABASE \"$name\";" > /tmp/create
        as_postgres "$bin/postgres --single -j -D $data postgres < /tmp/create"
    fi
fi
exec su -s /bin/sh postgres -c "exec $bin/postgres -D $data -c listen_addresses='*'"
