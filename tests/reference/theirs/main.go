// SPDX-License-Identifier: Apache-2.0

// The reference's answers: reads a sequence of operations (see ../README.md), carries it out on the
// reference's own sets, and prints a line for each.
package main

import (
	"bufio"
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
)

// Longer lines are printed as their length and a hash, unless whole is set.
const longestLine = 300

var (
	whole = false

	// How often a search for large gaps went by a tree whose gaps were no longer what the tree
	// thought, and how often its answer was then wrong.
	staleSearches, staleAnswers, stalePanics int
)

// A runner carries out operations on one set.
type runner interface {
	run(name string, a []uint64, out *strings.Builder)
}

// answer is what an operation prints: "panic" when it panicked.
func answer(r runner, name string, args []uint64) (line string) {
	var out strings.Builder
	defer func() {
		if recover() != nil {
			line = "panic"
		}
	}()
	r.run(name, args, &out)
	line = out.String()
	if len(line) > longestLine && !whole {
		h := fnv.New64a()
		h.Write([]byte(line))
		line = fmt.Sprintf("%d#%x", len(line), h.Sum64())
	}
	return line
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "theirs: "+format+"\n", args...)
	os.Exit(2)
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--whole" {
		whole = true
	}
	in := bufio.NewScanner(bufio.NewReaderSize(os.Stdin, 1<<20))
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	defer out.Flush()

	if !in.Scan() {
		fail("no sequence")
	}
	var r runner
	switch in.Text() {
	case "equal":
		r = &equalRunner{}
	case "offset":
		r = &offsetRunner{}
	case "mapping":
		r = newMappingRunner()
	default:
		fail("unknown kind of set %q", in.Text())
	}
	for in.Scan() {
		words := strings.Fields(in.Text())
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		args := make([]uint64, 0, 5)
		for _, w := range words[1:] {
			n, err := strconv.ParseUint(w, 16, 64)
			if err != nil {
				fail("%q: %v", in.Text(), err)
			}
			args = append(args, n)
		}
		out.WriteString(answer(r, words[0], args))
		out.WriteByte('\n')
	}
	fmt.Fprintln(os.Stderr, staleSearches, staleAnswers, stalePanics)
}
