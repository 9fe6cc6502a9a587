#!/bin/bash
# Makes the data folder on the first start, with the accounts that the variables of the official image describe, and runs the server.
set -eo pipefail

DATA=/var/lib/mysql
# As long as this file is there, the folder is half made.
HALF="$DATA/.half-made"

# The value of MARIADB_$1 or MYSQL_$1, or of the file that either with _FILE names.
value() {
	local name variable
	for name in "MARIADB_$1" "MYSQL_$1"; do
		variable="${name}_FILE"
		if [ -n "${!name}" ]; then
			printf %s "${!name}"
			return
		elif [ -n "${!variable}" ]; then
			printf %s "$(< "${!variable}")"
			return
		fi
	done
}

# A text between the quotes of SQL.
quoted() {
	local text="${1//\\/\\\\}"
	printf "'%s'" "${text//\'/\\\'}"
}

accounts() {
	local root user database
	root="$(value ROOT_PASSWORD)"
	user="$(value USER)"
	database="$(value DATABASE)"
	if [ -n "$(value RANDOM_ROOT_PASSWORD)" ]; then
		root="$(head -c 24 /dev/urandom | base64)"
		echo "GENERATED ROOT PASSWORD: $root" >&2
	fi
	# Without it statements about accounts are refused while the tables of rights are made.
	echo "FLUSH PRIVILEGES;"
	echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(quoted "$root");"
	echo "CREATE USER 'root'@'%' IDENTIFIED BY $(quoted "$root");"
	echo "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
	if [ -n "$database" ]; then
		echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
	fi
	if [ -n "$user" ]; then
		echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$(value PASSWORD)");"
		[ -z "$database" ] || echo "GRANT ALL ON \`${database//_/\\_}\`.* TO $(quoted "$user")@'%';"
	fi
	local script
	for script in /docker-entrypoint-initdb.d/*.sql; do
		[ -e "$script" ] || continue
		[ -z "$database" ] || echo "USE \`$database\`;"
		cat "$script"
	done
}

case "$1" in
-*) set -- mariadbd "$@" ;;
esac

if [ "$1" = mariadbd ] || [ "$1" = mysqld ]; then
	chown mysql:mysql "$DATA" /run/mysqld
	if [ -e "$HALF" ]; then
		find "$DATA" -mindepth 1 ! -name .half-made -delete
	fi
	if [ ! -d "$DATA/mysql" ]; then
		if [ -z "$(value ROOT_PASSWORD)$(value RANDOM_ROOT_PASSWORD)$(value ALLOW_EMPTY_ROOT_PASSWORD)" ]; then
			echo "database is uninitialized and password option is not specified: one of MARIADB_ROOT_PASSWORD, MARIADB_ALLOW_EMPTY_ROOT_PASSWORD, MARIADB_RANDOM_ROOT_PASSWORD is needed" >&2
			exit 1
		fi
		touch "$HALF"
		mariadb-install-db --user=mysql --datadir="$DATA" --skip-test-db --auth-root-authentication-method=normal --skip-name-resolve > /dev/null
		accounts | mariadbd --user=mysql --datadir="$DATA" --bootstrap
		rm "$HALF"
		echo "the data folder is made" >&2
	fi
	set -- "$@" --user=mysql
fi
exec "$@"
