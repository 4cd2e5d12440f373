#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# build_dir.sh NAME - print where to build NAME, a directory that exists and may
# be written: build/NAME in the tree, or, where that belongs to somebody else or
# cannot be made, one of the caller's own. Says so in a line on standard error.
# What was configured there for another tree, copied or moved with its build, is
# taken away.
set -u

name=$1
tree=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 1

# A directory is good if all that a build changes in it can be changed.
is_good()
{
	mkdir -p -- "$1" 2>/dev/null && [ -w "$1" ] && [ -x "$1" ] || return 1
	for file in CMakeCache.txt CMakeFiles build.ninja; do
		[ ! -e "$1/$file" ] || [ -w "$1/$file" ] || return 1
	done
}

# A directory in a place that all may write is good if it is ours alone.
is_ours()
{
	mkdir -m 700 -- "$1" 2>/dev/null ||
		{ [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]; }
}

# settle DIRECTORY: it is the one.
settle()
{
	if [ -f "$1/CMakeCache.txt" ] && ! grep -qxF \
		"CMAKE_HOME_DIRECTORY:INTERNAL=$tree" "$1/CMakeCache.txt"; then
		rm -rf -- "$1/CMakeCache.txt" "$1/CMakeFiles" "$1/build.ninja"
	fi
	printf '%s\n' "$1"
	exit 0
}

is_good "$tree/build/$name" && settle "$tree/build/$name"

# One tree's builds do not mix with another's.
key=glean/$(printf %s "$tree" | cksum | tr ' ' -)
for cache in "${XDG_CACHE_HOME:-}" "${HOME:-}/.cache"; do
	case $cache in
	/.cache | [!/]* | '') continue ;;
	esac
	if is_good "$cache/$key/$name"; then
		echo "glean: $tree/build is not ours to write;" \
			"building in $cache/$key" >&2
		settle "$cache/$key/$name"
	fi
done

ours=${TMPDIR:-/tmp}/glean-$(id -u)
if ! is_ours "$ours"; then
	ours=$(mktemp -d) || exit 1
fi
if is_good "$ours/$key/$name"; then
	echo "glean: $tree/build is not ours to write; building in $ours/$key" >&2
	settle "$ours/$key/$name"
fi

echo "glean: no directory to build in: tried $tree/build, the caches of" \
	"XDG_CACHE_HOME and HOME, and $ours; make one of them writable" >&2
exit 1
