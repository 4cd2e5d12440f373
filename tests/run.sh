#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh [--list | LANE...] - build and pass every test, or only these lanes.
# Installs what is missing, works from any directory and as any user.
#
# A lane is one way to look at the whole tree. The first that fails ends the
# run; its output is shown. The last line is the sum over all lanes.
set -u

tree=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P) || exit 1
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

# Cheapest first. NAME: what it does. Together they are to stay below 25 minutes
# on two CPUs: tests/CMakeLists.txt says which tests each kind of build has.
lanes='format: clang-format would change nothing
cppcheck: finds nothing
tidy: clang-tidy finds nothing, see .clang-tidy
gcc: release build, warnings are errors, all tests
clang: debug build, warnings are errors, all programs, shorter soaks
asan: AddressSanitizer and UndefinedBehaviorSanitizer, the same, and fuzzers
tsan: ThreadSanitizer, plain-C programs
freestanding: libglean-core alone, without a C library
cross: libglean-core on POWER of either byte order, s390x and AArch64'

# Every source of C, one a line.
c_files()
{
	python3 -B "$tree/cmake/glean_tree.py" .c .h
}

# configure LANE PRESET [OPTION...]: into $build.
configure()
{
	build=$(sh "$tree/cmake/build_dir.sh" "$1") || return
	preset=$2
	shift 2
	cmake -S "$tree" --preset "$preset" -B "$build" "$@"
}

# build_and_test LANE PRESET [OPTION...]: all that this configuration has. With
# a test more than there are CPUs: many wait now and then.
build_and_test()
{
	lane=$1
	configure "$@" -DGLN_TESTS=ON -DGLN_LINE_TABLES=ON &&
		cmake --build "$build" -j "$jobs" -- --quiet || return
	rm -f -- "$build/tests.xml"
	$without_aslr ctest --test-dir "$build" -j $((jobs + 1)) \
		--no-tests=error --output-on-failure \
		--output-junit "$build/tests.xml" \
		--test-output-size-passed 1000000 \
		--test-output-size-failed 1000000
	status=$?
	[ ! -f "$build/tests.xml" ] ||
		python3 -B "$tree/cmake/count_tests.py" "$lane" \
			"$build/tests.xml" "$notes" >"$counts"
	return $status
}

# Warnings are no errors below: what a sanitizer adds to the code makes gcc warn
# of conversions that nobody wrote.
#
# The sanitizers of gcc 12 and clang 14 do not know the address-space layout of
# kernels that randomise more of its bits than theirs did.
without_aslr=
turn_aslr_off()
{
	if setarch -R true 2>/dev/null; then
		without_aslr='setarch -R'
	fi
}

lane_format()
{
	c_files | (cd "$tree" && xargs clang-format --dry-run -Werror)
}

# One compile command a source, and in each/sources their names: a library is
# built in several variants, and looking at each is looking at one text again.
compile_commands()
{
	configure lint debug -DCMAKE_C_COMPILER=clang -DGLN_TESTS=ON &&
		mkdir -p "$build/each" &&
		python3 -B "$tree/cmake/one_command_each.py" \
			"$build/compile_commands.json" "$build/each" \
			>"$build/each/sources"
}

# Without --library=posix: that of cppcheck 2.10 knows neither mmap of no file
# nor munmap of a part.
lane_cppcheck()
{
	compile_commands || return
	mkdir -p "$build/cppcheck"
	cppcheck -q -j "$jobs" --project="$build/each/compile_commands.json" \
		--cppcheck-build-dir="$build/cppcheck" --std=c11 \
		--enable=warning,performance,portability --inline-suppr \
		--suppressions-list="$tree/cmake/cppcheck.txt" \
		--error-exitcode=1
}

# One file a process: clang-tidy 14 mistakes the va_list of a second one.
# How many warnings it did not show goes to standard error, and is left out.
# liburcu's read side, inline, reads a pointer that the analyser cannot see set:
# it gets the functions instead.
lane_tidy()
{
	compile_commands || return
	xargs -n 1 -P "$jobs" \
		clang-tidy --quiet --warnings-as-errors='*' -p "$build/each" \
		--extra-arg=-D_URCU_BP_STATIC_H \
		--extra-arg=-D_urcu_bp_read_lock=urcu_bp_read_lock \
		--extra-arg=-D_urcu_bp_read_unlock=urcu_bp_read_unlock \
		<"$build/each/sources" 2>"$build/suppressed"
}

lane_gcc()
{
	build_and_test gcc release -DCMAKE_C_COMPILER=gcc -DGLN_WERROR=ON \
		-DGLN_TEST_README=ON
}

lane_clang()
{
	build_and_test clang debug -DCMAKE_C_COMPILER=clang -DGLN_WERROR=ON
}

lane_asan()
{
	turn_aslr_off
	build_and_test asan asan
}

lane_tsan()
{
	turn_aslr_off
	build_and_test tsan tsan
}

lane_freestanding()
{
	build_and_test freestanding freestanding -DGLN_WERROR=ON
}

# One configuration a CPU, each tested in qemu-user; their counts are summed.
# With vector registers, which the lane freestanding is without.
lane_cross()
{
	cross_passed=0
	cross_failed=0
	cross_skipped=0
	for cpu in powerpc64 powerpc64le s390x aarch64; do
		rm -f -- "$counts"
		build_and_test "cross-$cpu" freestanding -DGLN_WERROR=ON \
			-DGLN_CORE_VECTORS=ON \
			-DCMAKE_TOOLCHAIN_FILE="$tree/cmake/toolchains/$cpu.cmake"
		status=$?
		if [ -s "$counts" ]; then
			read -r p f s <"$counts"
			cross_passed=$((cross_passed + p))
			cross_failed=$((cross_failed + f))
			cross_skipped=$((cross_skipped + s))
		fi
		[ $status = 0 ] || break
	done
	echo "$cross_passed $cross_failed $cross_skipped" >"$counts"
	return $status
}

say_lanes()
{
	printf '%s\n' "$lanes" | sed 's/: /	/' | expand -t 14
}

names=$(printf '%s\n' "$lanes" | sed 's/:.*//')
case "${1:-}" in
--list)
	say_lanes
	exit 0
	;;
-*)
	printf 'usage: sh tests/run.sh [--list | LANE...], with the lanes\n' >&2
	say_lanes >&2
	[ "$1" = --help ] && exit 0
	exit 2
	;;
esac
for lane; do
	printf '%s\n' "$names" | grep -qxF -e "$lane" || {
		printf "tests/run.sh: '%s' is no lane; sh tests/run.sh --list " \
			"$lane" >&2
		echo 'says which there are' >&2
		exit 2
	}
done
[ $# -gt 0 ] || set -- $names

sh "$tree/cmake/deps.sh" test || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 130' HUP INT TERM
notes=$scratch/notes
counts=$scratch/counts
: >"$notes"
passed=0
failed=0
skipped=0
broken=

# add PASSED FAILED SKIPPED: to the sums, and to the line of the lane.
add()
{
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
	printf '%4d passed %3d failed %3d skipped' "$1" "$2" "$3"
}

# run_lane LANE: false if it fails, or if it has tests and all were skipped. A
# lane without tests of its own counts as one, and so does the failure of a lane
# in which no test failed.
run_lane()
{
	begun=$(date +%s)
	printf '%-13s' "$1"
	rm -f -- "$counts"
	("lane_$1") >"$scratch/log" 2>&1
	status=$?
	if [ -s "$counts" ]; then
		read -r lane_passed lane_failed lane_skipped <"$counts"
		[ "$lane_passed" != 0 ] || status=1
		[ $status = 0 ] || [ "$lane_failed" != 0 ] || lane_failed=1
	else
		lane_passed=$((status == 0))
		lane_failed=$((status != 0))
		lane_skipped=0
	fi
	add "$lane_passed" "$lane_failed" "$lane_skipped"
	printf '%5d s\n' "$(($(date +%s) - begun))"
	return $status
}

for lane; do
	if [ -n "$broken" ]; then
		printf '%-13s not run\n' "$lane"
	elif ! run_lane "$lane"; then
		broken=$lane
	fi
done

if [ -n "$broken" ]; then
	echo
	cat -- "$scratch/log"
	printf '\nThe lane %s failed: see above. It alone: %s\n' "$broken" \
		"sh tests/run.sh $broken"
fi
sort -u -- "$notes"
echo "$passed passed, $failed failed, $skipped skipped"
[ -z "$broken" ]
