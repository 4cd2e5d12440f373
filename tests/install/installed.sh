# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# installed.sh, sourced by the tests with BUILD LIBDIR CC VERSION: installs the
# build into a fresh prefix, which it then moves, since a package must not know
# where it was made. Sets what follows.

build=$1
libdir_name=$2
cc=$3
version=$4
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
stranger=$here/stranger
freestanding=$here/../freestanding

scratch=$(mktemp -d) || exit 1
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 1' HUP INT TERM

fail()
{
	printf '%s\n' "$*" >&2
	exit 1
}

cmake --install "$build" --prefix "$scratch/first" >"$scratch/install.log" ||
	fail "cmake --install failed: $(cat "$scratch/install.log")"
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix
libdir=$prefix/$libdir_name
