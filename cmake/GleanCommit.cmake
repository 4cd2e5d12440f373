# SPDX-License-Identifier: BSD-2-Clause
# Write SOURCE, which says what commit of TREE is being built: a script, run by
# every build. An unchanged file stays as old as it is.

cmake_minimum_required(VERSION 3.25)

set(commit "unknown")
find_program(GIT git)
if(GIT AND EXISTS ${TREE}/.git)
	# Look only: somebody else may be committing.
	set(ENV{GIT_OPTIONAL_LOCKS} 0)
	execute_process(
		COMMAND ${GIT} -C ${TREE} describe --always --abbrev=40
			--exclude=* --dirty=+changes
		OUTPUT_VARIABLE said OUTPUT_STRIP_TRAILING_WHITESPACE
		RESULT_VARIABLE failed ERROR_QUIET)
	if(NOT failed)
		set(commit "${said}")
	endif()
endif()

file(CONFIGURE OUTPUT ${SOURCE} @ONLY CONTENT
"/* Made by cmake/GleanCommit.cmake. */
#include \"bench/suite/context.h\"

const char context_commit[] = \"@commit@\";
")
