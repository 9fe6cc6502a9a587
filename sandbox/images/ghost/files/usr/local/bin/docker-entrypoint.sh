#!/bin/sh
# Fills an empty content folder with what Ghost comes with, and runs Ghost as a user of its own.
set -e

case "$*" in
node*current/index.js*)
	if [ "$(id -u)" = 0 ]; then
		find "$GHOST_CONTENT" ! -user node -exec chown node {} +
		exec su -s /bin/sh node -c 'exec "$0" "$@"' "$0" "$@"
	fi
	for from in "$GHOST_INSTALL"/content.orig/* "$GHOST_INSTALL"/content.orig/themes/*; do
		to="$GHOST_CONTENT/${from#"$GHOST_INSTALL"/content.orig/}"
		[ -e "$to" ] || cp -r "$from" "$to"
	done
	# What Ghost wants to find besides what it comes with.
	for folder in apps data files images logs media public settings themes; do
		mkdir -p "$GHOST_CONTENT/$folder"
	done
	;;
esac
exec "$@"
