#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# cmake.sh BUILD LIBDIR CC VERSION - a stranger's CMake project finds glean,
# builds on each of its three libraries, and runs.
set -eu

# shellcheck source=tests/install/installed.sh
. "$(dirname -- "$0")/installed.sh"

cmake -S "$stranger" -B "$scratch/project" -DCMAKE_C_COMPILER="$cc" \
	-DCMAKE_PREFIX_PATH="$prefix" -DGLEAN_VERSION="$version" \
	-DFREESTANDING="$freestanding" >"$scratch/log" 2>&1 &&
	cmake --build "$scratch/project" >>"$scratch/log" 2>&1 ||
	fail "the project does not build: $(cat "$scratch/log")"

for kind in glean static core; do
	"$scratch/project/with_$kind" || fail "glean::$kind: exit status $?"
done

# A version that is not there must not be found.
if cmake -S "$stranger" -B "$scratch/newer" -DCMAKE_C_COMPILER="$cc" \
	-DCMAKE_PREFIX_PATH="$prefix" -DGLEAN_VERSION=999.0 \
	-DFREESTANDING="$freestanding" >"$scratch/log" 2>&1; then
	fail 'version 999.0 was found'
fi

# The command works from where it was put, on the library beside it.
if [ -x "$prefix/bin/glean" ]; then
	"$prefix/bin/glean" --version >"$scratch/version" ||
		fail "glean --version: exit status $?"
	grep -qF "$version" "$scratch/version" ||
		fail "glean --version says: $(cat "$scratch/version")"
fi
