# cmake -D ARCHIVE=... -D NM=... -D OBJCOPY=... -P PrivateNames.cmake
#
# Give the names that are private to the library a prefix of its own, in an archive: whoever links it
# may have an mm_insert or a text_append, too. (The shared library does not export them.)
execute_process(COMMAND ${NM} --defined-only --extern-only --no-sort --format=posix ${ARCHIVE}
                OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+ [TDBRVW] " symbols "${symbols}")
set(renames "")
foreach(symbol IN LISTS symbols)
  string(REGEX REPLACE " .*" "" symbol "${symbol}")
  if(NOT symbol MATCHES "^(memmap_|_)")
    string(APPEND renames "${symbol} memmap_private_${symbol}\n")
  endif()
endforeach()
file(WRITE ${ARCHIVE}.renames "${renames}")
execute_process(COMMAND ${OBJCOPY} --redefine-syms=${ARCHIVE}.renames ${ARCHIVE}
                COMMAND_ERROR_IS_FATAL ANY)
