#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh [ARGUMENT...] - the main job in one command: install what is missing,
# build, and `glean run` with these arguments. Works from any directory and as
# any user. Standard output is the command's alone.
set -u

tree=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 1

sh "$tree/cmake/deps.sh" build || exit 1
build=$(sh "$tree/cmake/build_dir.sh" release) || exit 1
log=$build/run.log

# Tests need more packages than the command: leave them out, unless an earlier
# build here has them.
build_command()
{
	if [ ! -f "$build/build.ninja" ]; then
		echo 'glean: building, once' >&3
		cmake -S "$tree" --preset release -B "$build" \
			-DGLN_TESTS=OFF || return
	fi
	cmake --build "$build" --target bench/glean/glean
}

build_command 3>&2 >"$log" 2>&1 || {
	cat -- "$log" >&2
	echo "glean: the build failed; the log is $log" >&2
	exit 1
}

exec "$build/bench/glean/glean" run "$@"
