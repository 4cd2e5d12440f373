#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Pass if a stress test sees a loss, and in no other way.
#
#	sh expect_loss.sh HOW PROGRAM [ARGUMENT...]
#
# For a library that is broken on purpose, HOW as broken.c names it: a test that
# cannot fail proves nothing. The program must exit 1 with "lost N" as its last
# line; a crash or another failure is not what was asked for. Whether a run loses
# depends on how its threads happen to fall together at the start, more than on
# its length: so one that loses nothing is tried again, with another seed. What
# one CPU did not lose, two might: then the case is skipped.

STRESS_BREAK=$1
export STRESS_BREAK
shift
tries=12
status=0
while [ $status -eq 0 ] && [ $tries -gt 0 ]; do
	out=$("$@")
	status=$?
	tries=$((tries - 1))
done
printf '%s\n' "$out"
last=$(printf '%s\n' "$out" | tail -n 1)

case $status in
1)
	case $last in
	"lost 0") ;;
	"lost "[1-9]*)
		echo "as it must: the loss was seen"
		exit 0
		;;
	esac
	echo "fail: it failed, but not because writes were lost"
	exit 1
	;;
0)
	if [ "$(nproc)" -lt 2 ]; then
		echo "skip: nothing was lost in the time given; one CPU only"
		exit 77
	fi
	echo "fail: it is broken on purpose, and nothing was lost"
	exit 1
	;;
77)
	exit 77
	;;
*)
	echo "fail: exit status $status instead of 1"
	exit 1
	;;
esac
