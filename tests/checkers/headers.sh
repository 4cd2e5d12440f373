#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# headers.sh INCLUDE CC CXX HEADER...: each public header compiles alone, as
# C11 and as C++, without a word from the compiler.
set -u

include=$1
cc=$2
cxx=$3
shift 3
failed=0

# try WHAT COMPILER FLAGS HEADER
try()
{
	# shellcheck disable=SC2086
	printf '#include <%s>\n' "$4" | "$2" $3 -I"$include" -fsyntax-only \
		-Wall -Wextra -Wpedantic -Werror - || {
		echo "<$4> does not compile alone as $1"
		failed=1
	}
}

for header; do
	try C11 "$cc" '-std=c11 -x c -Wconversion -Wstrict-prototypes' "$header"
	case $cxx in
	'' | *-NOTFOUND) ;;
	*) try C++ "$cxx" '-std=c++11 -x c++' "$header" ;;
	esac
done

exit $failed
