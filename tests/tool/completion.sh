#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Completion offers what there is: asked as bash asks, and compared with every --help.
#
#   completion.sh DIRECTORY-OF-COMPLETIONS
. "${0%/*}/lib.sh"
completions=$1
. "$completions/memmap.bash" || fail "it cannot be sourced"
complete -p memmap | grep -q -e '-F _memmap memmap' || fail "it is not registered"

# offers EXPECTED WORD...: at the end of these words, bash would offer this (sorted, with spaces).
offers() {
	local expected=$1 found
	shift
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMP_LINE="$*"
	COMP_POINT=${#COMP_LINE}
	COMPREPLY=()
	_memmap memmap "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
	found=$(printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | xargs)
	[ "$found" = "$expected" ] || fail "'$*': '$found' instead of '$expected'"
}

: > here.log
: > here.svg
mkdir folder
offers "--help --version maps replay trace" memmap ""
offers "replay" memmap re
offers "--strict" memmap trace --str
offers "--stacks --strict" memmap trace -q --st
offers "file kind perm" memmap maps --by ""
offers "kind" memmap maps --by = k
offers "rss" memmap maps -s r
offers "size" memmap maps --sort = s
offers "here.log here.svg" memmap replay her
offers "here.log here.svg" memmap trace --log = here
offers "here.log here.svg" memmap trace -r her
offers "folder" memmap maps fol
offers "--at --at-time" memmap replay --a
offers "--by" memmap maps --b
offers "" memmap replay --at ""
offers "" memmap nothing ""
offers "$$" memmap maps "$$"
offers "$$" memmap trace -p "$$"
# What follows the options is another command's line.
mkdir bin
printf '#!/bin/sh\n' > bin/zzz-command
chmod +x bin/zzz-command
PATH=$PWD/bin:$PATH
offers "zzz-command" memmap trace zzz-
offers "zzz-command" memmap trace -q --report = x -- zzz-
offers "here.log here.svg" memmap trace zzz-command her

# Every option of every command, in both shells, and no other.
for command in trace replay maps; do
	"$MEMMAP" $command --help | grep -oE '^ +(-[a-zA-Z], )? *--[a-z-]+' | grep -oE -e '--[a-z-]+' |
		LC_ALL=C sort -u > wanted
	COMP_WORDS=(memmap $command --)
	COMP_CWORD=2
	_memmap
	printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort -u > offered
	diff wanted offered >&2 || fail "options of memmap $command in bash"
	sed -n "/^_memmap_$command()/,/^}/p" "$completions/_memmap" | grep -oE -e '--[a-z-]+' |
		 LC_ALL=C sort -u > offered
	diff wanted offered >&2 || fail "options of memmap $command in zsh"
done
"$MEMMAP" --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p' | sort > wanted
COMP_WORDS=(memmap "")
COMP_CWORD=1
_memmap
printf '%s\n' "${COMPREPLY[@]}" | grep -v '^-' | sort | diff wanted - >&2 || fail "the commands"

# zsh takes it, where there is one.
if command -v zsh > /dev/null; then
	zsh -n "$completions/_memmap" || fail "zsh does not understand it"
	cat > ask.zsh <<'END'
fpath=($1 $fpath)
autoload -Uz compinit && compinit -u -d dump
[[ ${_comps[memmap]} = _memmap ]] || { print -u2 "not registered: ${_comps[memmap]}"; exit 1 }
END
	timeout 60 zsh -f ask.zsh "$completions" 2>zsh.err
	found=$?
	[ $found -eq 0 ] || fail "zsh: exit status $found: $(cat zsh.err)"
else
	echo "zsh is not installed: its completion is compared with the options alone"
fi
done_testing
