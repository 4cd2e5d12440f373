# SPDX-License-Identifier: BSD-2-Clause
# How every target is compiled: the language, the warnings, the sanitizers.

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE Release)
endif()

add_library(gln_compile INTERFACE)
target_compile_options(gln_compile INTERFACE
	-Wall -Wextra -Wshadow -Wconversion -Wpedantic -Wstrict-prototypes
	-Wmissing-prototypes -Wvla
	$<$<BOOL:${GLN_WERROR}>:-Werror>)
target_include_directories(gln_compile INTERFACE ${PROJECT_SOURCE_DIR})

# All that a sanitizer's report or a failed assertion shows.
if(GLN_LINE_TABLES)
	add_compile_options(-g1)
endif()

if(GLN_SANITIZE)
	add_compile_options(-fsanitize=${GLN_SANITIZE} -fno-omit-frame-pointer)
	add_link_options(-fsanitize=${GLN_SANITIZE})
	if(GLN_SANITIZE MATCHES undefined)
		add_compile_options(-fno-sanitize-recover=all)
		# liburcu 0.13 aligns its readers to 32 bytes and declares 128:
		# leave that to its own code, in place of its inline functions.
		add_compile_definitions(_URCU_BP_STATIC_H
			_urcu_bp_read_lock=urcu_bp_read_lock
			_urcu_bp_read_unlock=urcu_bp_read_unlock)
	endif()
	# gcc says that ThreadSanitizer does not see fences; it sees the atomics.
	if(GLN_SANITIZE MATCHES thread AND CMAKE_C_COMPILER_ID STREQUAL GNU)
		add_compile_options(-Wno-tsan)
	endif()
endif()
