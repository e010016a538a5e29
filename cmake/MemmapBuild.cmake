# How memmap's targets are made: one place for the flags of the house, and a word for each kind of target.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# memmap_flags: warnings, assertions and sanitizers, for everything that is compiled here.
add_library(memmap_flags INTERFACE)
target_compile_options(memmap_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
  $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes -Wmissing-prototypes>
  # The house uses a few GNU extensions (statement expressions, zero-length tails) on purpose.
  $<$<C_COMPILER_ID:Clang>:-Wno-gnu>)
target_compile_definitions(memmap_flags INTERFACE _GNU_SOURCE MEMMAP_CHECK=${MEMMAP_CHECK})
target_include_directories(memmap_flags INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>)
if(MEMMAP_SANITIZE)
  target_compile_options(memmap_flags INTERFACE
    -fsanitize=${MEMMAP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(memmap_flags INTERFACE -fsanitize=${MEMMAP_SANITIZE})
endif()
if(MEMMAP_FUZZ)
  # The fuzzers see which branches of the library are taken.
  target_compile_options(memmap_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(memmap_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Programs that are started often link what others made from archives, where those are installed.
option(MEMMAP_STATIC_TOOL "Link the memmap command statically, where the archives are installed" ON)

# memmap_find_archive(NAME MODULE): memmap_archive_NAME, the library of a pkg-config module as an
# archive, or the shared library where there is none.
function(memmap_find_archive name module)
  if(TARGET memmap_archive_${name})
    return()
  endif()
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
  list(GET ${name}_LIBRARIES 0 library)
  find_library(${name}_ARCHIVE NAMES lib${library}.a HINTS ${${name}_LIBRARY_DIRS})
  mark_as_advanced(${name}_ARCHIVE)
  add_library(memmap_archive_${name} INTERFACE)
  if(${name}_ARCHIVE AND MEMMAP_STATIC_TOOL)
    target_include_directories(memmap_archive_${name} SYSTEM INTERFACE ${${name}_INCLUDE_DIRS})
    target_link_libraries(memmap_archive_${name} INTERFACE ${${name}_ARCHIVE})
  else()
    target_link_libraries(memmap_archive_${name} INTERFACE PkgConfig::${name})
  endif()
endfunction()

# memmap_can_link_statically(RESULT): are the archives there that the command needs, and does the
# build allow it? (The sanitizers' runtimes want to be loaded.)
function(memmap_can_link_statically result)
  set(can OFF)
  if(MEMMAP_STATIC_TOOL AND NOT MEMMAP_SANITIZE AND NOT MEMMAP_FUZZ
     AND JANSSON_ARCHIVE)
    include(CheckCSourceCompiles)
    set(CMAKE_REQUIRED_FLAGS -fPIE)
    set(CMAKE_REQUIRED_LINK_OPTIONS -static-pie)
    set(CMAKE_REQUIRED_LIBRARIES ${JANSSON_ARCHIVE} m)
    check_c_source_compiles("
      void *json_object(void);
      int main(void) { return !json_object(); }" MEMMAP_HAS_STATIC_LIBC)
    set(can ${MEMMAP_HAS_STATIC_LIBC})
  endif()
  set(${result} ${can} PARENT_SCOPE)
endfunction()

# memmap_floor(NAME SOURCES ... [LIBS ...]): one floor of the library, as objects.
# A floor's private headers (internal.h) are seen by the floors above it through src/ only by their
# full name, so that an include that goes up can be read off the line.
function(memmap_floor name)
  cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
  add_library(floor_${name} OBJECT ${arg_SOURCES})
  set_target_properties(floor_${name} PROPERTIES
    POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
  target_link_libraries(floor_${name} PRIVATE memmap_flags ${arg_LIBS})
  target_include_directories(floor_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  set_property(GLOBAL APPEND PROPERTY MEMMAP_FLOORS floor_${name})
  set_property(GLOBAL APPEND PROPERTY MEMMAP_FLOOR_LIBS ${arg_LIBS})
endfunction()

add_custom_target(threaded_tests)

# memmap_test(NAME SOURCES ... [LIBS ...] [LABELS ...] [ARGS ...] [TIMEOUT s]): a cmocka program that
# CTest runs as NAME. Exit status 77 means skipped; the program says why.
function(memmap_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBS;LABELS;ARGS" ${ARGN})
  string(REPLACE "/" "_" target "test_${name}")
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE memmap_flags memmap_static PkgConfig::CMOCKA ${arg_LIBS})
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests ${CMAKE_SOURCE_DIR}/src)
  add_test(NAME ${name} COMMAND ${target} ${arg_ARGS})
  # Those that make threads are labelled so, and built by a target of their own: make threads.
  foreach(source IN LISTS arg_SOURCES)
    set(makes_threads "")
    get_filename_component(path ${source} ABSOLUTE)
    if(EXISTS ${path}) # those that are made by the build make no threads
      file(STRINGS ${path} makes_threads REGEX "pthread_create" LIMIT_COUNT 1)
    endif()
    if(makes_threads)
      list(APPEND arg_LABELS threads)
      add_dependencies(threaded_tests ${target})
    endif()
  endforeach()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES
    SKIP_RETURN_CODE 77 TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}")
endfunction()
