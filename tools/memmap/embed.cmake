# Make a C source of a file: cmake -DINPUT=FILE -DOUTPUT=FILE.c -DNAME=identifier -P embed.cmake
# The bytes become an array of char with a zero behind them.
file(READ ${INPUT} hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n\t" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1', " hex "${hex}")
file(WRITE ${OUTPUT} "extern const char ${NAME}[];\nconst char ${NAME}[] = {\n\t${hex}'\\0'};\n")
