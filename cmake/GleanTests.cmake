# SPDX-License-Identifier: BSD-2-Clause
# How a test program is built and run. Each is one ctest case, named after its
# path below tests/, with a time limit. One that cannot run here exits 77, its
# last line saying why: "skip: REASON". Skips are listed by tests/run.sh.

set(GLN_TEST_SECONDS 900) # longer than any takes on a busy machine: it hangs
set(GLN_SKIP_CODE 77)

# A sanitizer that finds something must abort: Criterion takes a test that only
# exits, as for a leak, for one that passed. What it prints is failure, too.
set(GLN_TEST_ENVIRONMENT "")
set(GLN_TEST_FAILS_WITH "")
if(GLN_SANITIZE)
	set(GLN_TEST_ENVIRONMENT
		# No memory is -ENOMEM to the library, and no error of its own.
		ASAN_OPTIONS=abort_on_error=1:allocator_may_return_null=1:detect_stack_use_after_return=1
		UBSAN_OPTIONS=abort_on_error=1:print_stacktrace=1
		TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1)
	set(GLN_TEST_FAILS_WITH "Sanitizer: [a-z]" "runtime error: ")
endif()

if(NOT GLN_SANITIZE MATCHES thread AND GLN_HOSTED)
	# Criterion does not start under ThreadSanitizer: plain C is for that.
	pkg_check_modules(CRITERION IMPORTED_TARGET criterion>=2.4)
	if(NOT CRITERION_FOUND)
		message(FATAL_ERROR "Criterion is missing: run `sh cmake/deps.sh "
			"test`, or configure with -DGLN_TESTS=OFF")
	endif()
endif()

# gln_test_case(NAME [PROCESSORS n] [SERIAL] [LABELS label...]
#	COMMAND command [argument...]): a ctest case. PROCESSORS is how many
# threads it keeps busy; SERIAL is for a case that measures time or drives the
# machine to its limits, and wants it alone.
function(gln_test_case name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "PROCESSORS"
		"LABELS;COMMAND")
	if(NOT arg_PROCESSORS)
		set(arg_PROCESSORS 1)
	endif()
	add_test(NAME ${name} COMMAND ${arg_COMMAND})
	set_tests_properties(${name} PROPERTIES
		TIMEOUT ${GLN_TEST_SECONDS}
		PROCESSORS ${arg_PROCESSORS}
		RUN_SERIAL "${arg_SERIAL}"
		LABELS "${arg_LABELS}"
		ENVIRONMENT "${GLN_TEST_ENVIRONMENT}"
		FAIL_REGULAR_EXPRESSION "${GLN_TEST_FAILS_WITH}"
		SKIP_RETURN_CODE ${GLN_SKIP_CODE})
endfunction()

# gln_skipped_case(NAME REASON): a case that this build cannot have, so that
# the summary still lists it.
function(gln_skipped_case name reason)
	add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo
		"skip: ${reason}")
	set_tests_properties(${name} PROPERTIES
		SKIP_REGULAR_EXPRESSION "^skip: ")
endfunction()

# gln_test_program(TARGET SOURCES source... [LIBRARIES library...]
#	[DEFINITIONS definition...]): a program on the whole library, which it
# reaches from the root of the tree, internals included.
function(gln_test_program target)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" ""
		"SOURCES;LIBRARIES;DEFINITIONS")
	if(NOT arg_LIBRARIES)
		set(arg_LIBRARIES glean_static)
	endif()
	add_executable(${target} ${arg_SOURCES})
	target_link_libraries(${target} PRIVATE gln_compile ${arg_LIBRARIES}
		PkgConfig::URCU Threads::Threads)
	target_compile_definitions(${target} PRIVATE GLN_HOSTED=1 _GNU_SOURCE
		${arg_DEFINITIONS})
endfunction()

# gln_unit_test(MODULE/NAME [CASE-ARGUMENT...]): Criterion, from
# tests/unit/MODULE/NAME_test.c. Further arguments as for gln_test_case(), and
# SOURCES for more source files. Not under ThreadSanitizer: see above. Verbose,
# since Criterion tells only then which of its tests it skipped, and why.
function(gln_unit_test path)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES")
	if(NOT TARGET PkgConfig::CRITERION)
		return()
	endif()
	string(MAKE_C_IDENTIFIER "unit_${path}" target)
	gln_test_program(${target} LIBRARIES glean_static PkgConfig::CRITERION
		SOURCES ${PROJECT_SOURCE_DIR}/tests/unit/${path}_test.c
			${arg_SOURCES})
	gln_test_case(unit/${path} ${arg_UNPARSED_ARGUMENTS}
		COMMAND ${target} --jobs 1 --verbose)
endfunction()

# gln_plain_test(NAME SOURCES source... [LIBRARIES library...]
#	[DEFINITIONS definition...] [ARGUMENTS argument...]
#	[CASE-ARGUMENT...]): a plain-C program, which runs under every
# sanitizer, and one ctest case of it. NAME is like stress/lost_write.
function(gln_plain_test name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" ""
		"SOURCES;LIBRARIES;DEFINITIONS;ARGUMENTS")
	string(MAKE_C_IDENTIFIER ${name} target)
	gln_test_program(${target} SOURCES ${arg_SOURCES}
		LIBRARIES ${arg_LIBRARIES} DEFINITIONS ${arg_DEFINITIONS})
	gln_test_case(${name} ${arg_UNPARSED_ARGUMENTS}
		COMMAND ${target} ${arg_ARGUMENTS})
endfunction()
