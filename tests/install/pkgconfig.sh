#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# pkgconfig.sh BUILD LIBDIR CC VERSION - a stranger with a compiler and
# pkg-config builds on each of the libraries, and runs.
set -eu

# shellcheck source=tests/install/installed.sh
. "$(dirname -- "$0")/installed.sh"

export PKG_CONFIG_PATH="$libdir/pkgconfig"

# flags MODULE [OPTION...]
flags()
{
	pkg-config --cflags --libs "$@" || fail "pkg-config: no $1"
}

cd "$scratch"
[ "$(pkg-config --modversion glean)" = "$version" ] || fail 'another version'

# The words of the flags are meant to be split.
# shellcheck disable=SC2046
"$cc" -o shared "$stranger/stranger.c" $(flags glean)
LD_LIBRARY_PATH=$libdir ./shared || fail "libglean.so: exit status $?"

# The other library brings its own needs, which glean.pc keeps private.
needs=$(pkg-config --print-requires-private glean)
# shellcheck disable=SC2046,SC2086
"$cc" -o static "$stranger/stranger.c" $(pkg-config --cflags glean) \
	"$libdir/libglean.a" $(flags $needs) -pthread
./static || fail "libglean.a: exit status $?"
if readelf -d static | grep -q libglean; then
	fail 'libglean.a: the program still needs libglean.so'
fi

# shellcheck disable=SC2046
"$cc" -ffreestanding -fno-builtin -fno-stack-protector -mgeneral-regs-only \
	-fno-pie -nostdlib -static -I"$freestanding/../.." -o core \
	"$freestanding/hypervisor.c" "$freestanding/platform.c" \
	"$freestanding/start.c" $(flags glean-core)
./core || fail "libglean-core.a: exit status $?"

# What belongs to it came along.
for file in include/glean/glean.h share/man/man1/glean.1 \
	share/man/man3/gln_vm.3; do
	[ -f "$prefix/$file" ] || fail "not installed: $file"
done
