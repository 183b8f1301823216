# SPDX-License-Identifier: MIT
#
# Static calls in CMake (3.20 or later, the generators Ninja and Unix Makefiles):
#
#   find_package(StaticCall REQUIRED)            with -DStaticCall_DIR=$(instrument --cmakedir)
#   add_executable(prog main.c ops.c)
#   target_static_call(prog [MODE inline-asm|trampoline|direct] [LAYOUT aligned|compact|bare] [STRICT] [FALLBACK])
#
# The target's C files are compiled by `instrument cc`, in front of what else launches the compiler (ccache, distcc).
# The runtime, StaticCall::runtime, is one library of the whole build; it is static unless BUILD_SHARED_LIBS says
# otherwise. A program and its shared libraries should share one runtime, so build those with BUILD_SHARED_LIBS=ON.

cmake_policy(PUSH)
cmake_policy(VERSION 3.20)

# The command that belongs to this file: of the same prefix if it was installed, else the one in PATH.
# (pip's prefix/lib/python3/site-packages/instrument/c_runtime/cmake, make install's prefix/share/staticcall/...)
find_program(STATIC_CALL_INSTRUMENT instrument
	HINTS "${CMAKE_CURRENT_LIST_DIR}/../../../../../../bin" "${CMAKE_CURRENT_LIST_DIR}/../../../../bin"
	DOC "the command of StaticCall")
if(STATIC_CALL_INSTRUMENT)
	execute_process(COMMAND "${STATIC_CALL_INSTRUMENT}" --cmakedir OUTPUT_VARIABLE _static_call_theirs
		ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
	file(REAL_PATH "${_static_call_theirs}" _static_call_theirs)
	file(REAL_PATH "${CMAKE_CURRENT_LIST_DIR}" _static_call_ours)
	if(NOT _static_call_theirs STREQUAL _static_call_ours)
		set(StaticCall_FOUND FALSE)
		set(StaticCall_NOT_FOUND_MESSAGE "${STATIC_CALL_INSTRUMENT} is the command of another installation; "
			"STATIC_CALL_INSTRUMENT and StaticCall_DIR must be of the same one")
	endif()
else()
	set(StaticCall_FOUND FALSE)
	set(StaticCall_NOT_FOUND_MESSAGE "instrument is not in PATH; -DSTATIC_CALL_INSTRUMENT=... says where it is")
endif()

get_filename_component(_static_call_root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
if(NOT TARGET StaticCall::runtime)
	find_package(Threads REQUIRED)
	add_library(static_call_runtime EXCLUDE_FROM_ALL "${_static_call_root}/static_call_runtime.c")
	add_library(StaticCall::runtime ALIAS static_call_runtime)
	# Our own C: the project's language level and warnings are not meant for it.
	set_target_properties(static_call_runtime PROPERTIES C_STANDARD 11 C_EXTENSIONS ON POSITION_INDEPENDENT_CODE ON)
	target_compile_options(static_call_runtime PRIVATE -w)
	target_include_directories(static_call_runtime INTERFACE "${_static_call_root}/include")
	target_link_libraries(static_call_runtime PUBLIC Threads::Threads)
endif()
unset(_static_call_root)

function(target_static_call target)
	cmake_parse_arguments(PARSE_ARGV 1 asked "STRICT;FALLBACK" "MODE;LAYOUT" "")
	if(asked_UNPARSED_ARGUMENTS OR asked_KEYWORDS_MISSING_VALUES)
		message(FATAL_ERROR "target_static_call(${target}): not understood: "
			"${asked_UNPARSED_ARGUMENTS}${asked_KEYWORDS_MISSING_VALUES}")
	endif()
	set(options "")
	foreach(name MODE LAYOUT STRICT FALLBACK)
		if(asked_${name})
			string(TOLOWER "--${name}" flag)
			list(APPEND options "${flag}=${asked_${name}}")
		endif()
	endforeach()
	# Those that are switches have no value.
	string(REPLACE "=TRUE" "" options "${options}")

	set(launcher "${STATIC_CALL_INSTRUMENT}" cc ${options} --)
	get_target_property(others ${target} C_COMPILER_LAUNCHER)
	if(others)
		list(APPEND launcher ${others})
	endif()
	set_target_properties(${target} PROPERTIES C_COMPILER_LAUNCHER "${launcher}")

	# CMake's Makefiles compile anew where a definition has changed, not where a launcher or the tool has.
	include("${CMAKE_CURRENT_FUNCTION_LIST_DIR}/StaticCallConfigVersion.cmake")
	string(REPLACE ";" "/" state "${PACKAGE_VERSION};${options}")
	set_property(TARGET ${target} APPEND PROPERTY COMPILE_DEFINITIONS
		"$<$<COMPILE_LANGUAGE:C>:STATIC_CALL_BUILD=${state}>")

	# Properties, since target_link_libraries() with a keyword would forbid the project one without. Who exports the
	# target exports no path into this build: there the runtime is found by find_package(StaticCall) as well.
	set(runtime "$<BUILD_INTERFACE:StaticCall::runtime>")
	get_target_property(type ${target} TYPE)
	set_property(TARGET ${target} APPEND PROPERTY LINK_LIBRARIES "${runtime}")
	if(NOT type STREQUAL EXECUTABLE)
		set_property(TARGET ${target} APPEND PROPERTY INTERFACE_LINK_LIBRARIES "${runtime}")
	endif()
endfunction()

cmake_policy(POP)
