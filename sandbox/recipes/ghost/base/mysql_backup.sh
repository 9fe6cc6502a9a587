#!/bin/bash
# Dumps the database into its own volume, or loads the dump again.
set -e -o pipefail

DUMP=/var/lib/mysql/backup.sql
MYSQL_PWD="$(cat /run/secrets/db_root_pw)"
export MYSQL_PWD

case "$1" in
backup)
	mysqldump -u root --single-transaction --routines --triggers "$MYSQL_DATABASE" > "$DUMP.part"
	mv "$DUMP.part" "$DUMP"
	;;
restore)
	# Tables that came after the dump would stay.
	{
		echo "DROP DATABASE \`$MYSQL_DATABASE\`; CREATE DATABASE \`$MYSQL_DATABASE\`; USE \`$MYSQL_DATABASE\`;"
		cat "$DUMP"
	} | mysql -u root
	;;
*)
	echo "usage: $0 backup|restore" >&2
	exit 2
	;;
esac
