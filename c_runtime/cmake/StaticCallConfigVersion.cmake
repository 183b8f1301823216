# SPDX-License-Identifier: MIT
# Whether this StaticCall will do for find_package(StaticCall <version>): the same major version, and not an older one.
set(PACKAGE_VERSION 0.1.0)
if(PACKAGE_FIND_VERSION VERSION_LESS_EQUAL PACKAGE_VERSION)
	string(REGEX MATCH "^[0-9]+" _static_call_major "${PACKAGE_VERSION}")
	if(PACKAGE_FIND_VERSION_MAJOR STREQUAL _static_call_major OR NOT PACKAGE_FIND_VERSION)
		set(PACKAGE_VERSION_COMPATIBLE TRUE)
	endif()
	unset(_static_call_major)
endif()
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
	set(PACKAGE_VERSION_EXACT TRUE)
endif()
