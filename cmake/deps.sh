#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# deps.sh - install the Debian 12 packages that glean needs, if any is missing.
#
#	sh cmake/deps.sh build	what bench/run.sh needs: libraries and command
#	sh cmake/deps.sh test	that, and what tests/run.sh needs (the default)
#
# With nothing missing it says nothing, needs no network and no rights. Where
# it may not install, it prints the one command to run, and exits 1. Standard
# output stays empty: the callers own it.
set -u

build_set='gcc libc6-dev cmake ninja-build pkg-config liburcu-dev
	libjemalloc-dev libhwloc-dev libjansson-dev systemtap-sdt-dev'
# clang's ThreadSanitizer and AddressSanitizer are in libclang-rt-14-dev.
test_set='clang clang-format clang-tidy libclang-rt-14-dev cppcheck
	libcriterion-dev python3 mandoc git qemu-user g++ relacy-dev
	gcc-powerpc64-linux-gnu libc6-dev-ppc64-cross
	gcc-powerpc64le-linux-gnu libc6-dev-ppc64el-cross
	gcc-s390x-linux-gnu libc6-dev-s390x-cross
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross'

say()
{
	printf 'deps.sh: %s\n' "$*" >&2
}

# Those of "$@" that dpkg does not hold as installed. One query for all: a
# query each would take half a second.
missing_of()
{
	have=$(dpkg-query -W -f='${Package} ${Status}\n' "$@" 2>/dev/null |
		sed -n 's/ install ok installed$//p')
	for package; do
		case "
$have
" in
		*"
$package
"*) ;;
		*) printf '%s ' "$package" ;;
		esac
	done
}

# apt_get ARG...: with the rights that were found, never with a question, and
# heard only when it fails.
apt_get()
{
	apt_said=$($as_root env DEBIAN_FRONTEND=noninteractive apt-get -q \
		-o DPkg::Lock::Timeout=300 "$@" 2>&1) && return 0
	printf '%s\n' "$apt_said" | tail -n 40 >&2
	return 1
}

# $1: the command that a person with the rights should run.
refuse()
{
	say "missing: $missing"
	say 'only root can install them. Run this once, then try again:'
	if command -v sudo >/dev/null 2>&1; then
		printf '  sudo sh -c "%s"\n' "$1" >&2
	else
		printf '  su -c "%s"\n' "$1" >&2
	fi
	exit 1
}

case "${1:-test}" in
build) packages=$build_set ;;
test) packages="$build_set $test_set" ;;
*)
	say "'$1' is no set of packages; use: build, test"
	exit 2
	;;
esac

if ! command -v dpkg-query >/dev/null 2>&1; then
	say "not a Debian system: looking for no packages. They are here:" $packages
	exit 0
fi

# shellcheck disable=SC2086
missing=$(missing_of $packages)
[ -n "$missing" ] || exit 0
missing=${missing% }

if [ "$(id -u)" = 0 ]; then
	as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
	as_root='sudo -n'
else
	refuse "apt-get update && apt-get install -y --no-install-recommends $missing"
fi

say "installing $missing (a minute or two)"
# Lists that cannot be refreshed may still be good enough: install decides.
apt_get update || say 'apt-get update failed; trying with the lists as they are'
# shellcheck disable=SC2086
apt_get install -y --no-install-recommends $missing || {
	say "apt-get could not install: $missing"
	exit 1
}
