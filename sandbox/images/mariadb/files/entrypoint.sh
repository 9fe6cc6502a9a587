# Makes the database at the first start, as the official image does.
set -e
data=/var/lib/mysql
if [ -n "$MARIADB_ROOT_PASSWORD_FILE" ]; then MARIADB_ROOT_PASSWORD=$(cat "$MARIADB_ROOT_PASSWORD_FILE"); fi
mkdir -p /run/mysqld
if [ ! -d "$data/mysql" ]; then
    mariadb-install-db --user=root --datadir="$data" --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve
    mariadbd --user=root --datadir="$data" --bootstrap <<SQL
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
CREATE DATABASE IF NOT EXISTS \`${MARIADB_DATABASE:-test}\`;
SQL
fi
exec mariadbd --user=root --datadir="$data" --socket=/run/mysqld/mysqld.sock
