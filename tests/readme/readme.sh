#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# readme.sh - the README names two commands, and they do what it says.
set -u

tree=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P) || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf -- "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
clone=$scratch/clone

fail()
{
	printf '%s\n' "$*" >&2
	exit 1
}

# What a clone would hold: what belongs to the tree, and nothing built.
make_clone()
{
	mkdir "$clone" && cd "$tree" &&
		python3 -B cmake/glean_tree.py >"$scratch/files" &&
		tar -c -T "$scratch/files" | tar -x --no-same-owner -C "$clone"
}

# check_run WHO COMMAND...: standard output is one object, and verified.
check_run()
{
	who=$1
	shift
	"$@" sh "$clone/bench/run.sh" --memory 64M --json \
		>"$scratch/run.json" 2>"$scratch/run.log" ||
		fail "bench/run.sh as $who: status $?: $(cat "$scratch/run.log")"
	python3 - "$scratch/run.json" <<-'END' ||
		import json, sys
		run = json.load(open(sys.argv[1], encoding="utf-8"))
		assert run["verified"] is True, run
		assert run["mismatched_pages"] == 0, run
	END
		fail "bench/run.sh as $who says: $(cat "$scratch/run.json")"
}

for command in 'sh bench/run.sh' 'sh tests/run.sh'; do
	grep -q "^\$* *$command" "$tree/README.md" ||
		fail "README.md has no line that begins with: $command"
done

make_clone || fail 'the tree cannot be copied'
cd / || exit 1
sh "$clone/tests/run.sh" --list >"$scratch/lanes" ||
	fail 'tests/run.sh --list fails'
grep -q '^freestanding ' "$scratch/lanes" || fail 'tests/run.sh has no lanes'

check_run "$(id -un)" env

# As an ordinary user, who may not write the clone, and whom git would refuse.
if [ "$(id -u)" = 0 ] && command -v runuser >/dev/null 2>&1; then
	mkdir "$scratch/nobody" && chown nobody "$scratch/nobody" &&
		chmod a+rx "$scratch" && chmod -R a+rX "$clone" || exit 1
	check_run nobody runuser -u nobody -- env HOME=/nonexistent \
		TMPDIR="$scratch/nobody"
fi
