# SPDX-License-Identifier: Apache-2.0
# Completion of memmap(1) for bash.

_memmap_files() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

_memmap_words() {
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_memmap_pids() {
	local pids=(/proc/[0-9]*)
	_memmap_words "${pids[*]#/proc/}" "$1"
}

# Where the words of COMP_WORDS that bash has split at '=' are put together again: the word before
# the one that is completed, and that one.
_memmap_previous() {
	local previous=${COMP_WORDS[COMP_CWORD - 1]}
	if [ "$previous" = = ] && [ "$COMP_CWORD" -ge 2 ]; then
		previous=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	printf %s "$previous"
}

_memmap() {
	local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} previous i
	COMPREPLY=()
	[ "$word" = = ] && word=
	if [ "$COMP_CWORD" -le 1 ]; then
		_memmap_words "trace replay maps --help --version" "$word"
		return
	fi
	previous=$(_memmap_previous)
	case $command in
	trace)
		# From the first word that is no option, it is another command's line.
		for ((i = 2; i < COMP_CWORD; i++)); do
			case ${COMP_WORDS[i]} in
			--report | --plot | --log | --pid)
				[ "${COMP_WORDS[i + 1]}" = = ] && ((i++))
				((i++))
				;;
			-r | -p) ((i++)) ;;
			--)
				((i++))
				break
				;;
			-*) ;;
			*) break ;;
			esac
		done
		if [ "$i" -lt "$COMP_CWORD" ] || [ "${COMP_WORDS[COMP_CWORD - 1]}" = -- ]; then
			if declare -F _command_offset >/dev/null; then
				_command_offset "$i"
			elif [ "$i" -eq "$COMP_CWORD" ]; then
				mapfile -t COMPREPLY < <(compgen -c -- "$word")
			else
				_memmap_files "$word"
			fi
			return
		fi
		case $previous in
		--report | --plot | --log | -r) _memmap_files "$word" ;;
		--pid | -p) _memmap_pids "$word" ;;
		*)
			case $word in
			-*)
				_memmap_words "--pid --strict --report --plot --log --stacks --whole --quiet
					--help --version" "$word"
				;;
			*) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
			esac
			;;
		esac
		;;
	replay)
		case $previous in
		--at | --at-time | --pid | -n | -t | -p) ;;
		--plot) _memmap_files "$word" ;;
		*)
			case $word in
			-*) _memmap_words "--at --at-time --maps --pid --check --plot --quiet --help" "$word" ;;
			*) _memmap_files "$word" ;;
			esac
			;;
		esac
		;;
	maps)
		case $previous in
		--by | -b) _memmap_words "file kind perm" "$word" ;;
		--sort | -s) _memmap_words "address size rss pss name" "$word" ;;
		*)
			case $word in
			-*) _memmap_words "--by --sort --diff --json --help" "$word" ;;
			[0-9]*) _memmap_pids "$word" ;;
			*) _memmap_files "$word" ;;
			esac
			;;
		esac
		;;
	esac
}

complete -F _memmap memmap
