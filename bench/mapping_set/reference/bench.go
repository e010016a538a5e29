// SPDX-License-Identifier: Apache-2.0

// The contestant: the reference's MappingSet, over the same operations as ../bench_body.h.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/memmap"
)

const page = 0x1000

var nrCalls, checksum uint64

type space struct{ index uint64 }

func (s *space) Invalidate(ar hostarch.AddrRange, _ memmap.InvalidateOpts) {
	nrCalls++
	checksum += (s.index + 1) * (uint64(ar.Start)*3 + uint64(ar.End))
}

func random(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// now is the CPU time of the process: the collector's too.
func now() float64 {
	var t syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, 2, uintptr(unsafe.Pointer(&t)), 0)
	return float64(t.Sec)*1e9 + float64(t.Nsec)
}

func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

var edges = [...]uint64{0, 0x26, 0x17b, 0x1d1, 0x1d5, 0x1d7}

const nrRanges = len(edges) - 1

func base(index uint64) uint64 {
	state := index
	return 0x7f0000000000 + random(&state)%0x10000000*page
}

func makeSpaces(nr uint64) []space {
	spaces := make([]space, nr)
	for i := range spaces {
		spaces[i].index = uint64(i)
	}
	return spaces
}

func addresses(addr, length uint64) hostarch.AddrRange {
	return hostarch.AddrRange{Start: hostarch.Addr(addr), End: hostarch.Addr(addr + length)}
}

func show(what string, nr uint64, add, call, remove, bytes float64) {
	fmt.Printf("%-24s %-4s %8d %12.1f %12.1f %12.1f %10.1f  %016x\n", "reference", what, nr, add, call, remove, bytes, checksum)
}

func m1(nr uint64) {
	spaces := makeSpaces(nr)
	all := func(do func(s *space, ar hostarch.AddrRange, offset uint64)) float64 {
		start := now()
		for i := range spaces {
			for j := 0; j < nrRanges; j++ {
				do(&spaces[i], addresses(base(uint64(i))+edges[j]*page, (edges[j+1]-edges[j])*page), edges[j]*page)
			}
		}
		return (now() - start) / float64(nr*uint64(nrRanges))
	}
	var s memmap.MappingSet
	before := heap()
	add := all(func(ms *space, ar hostarch.AddrRange, offset uint64) { s.AddMapping(ms, ar, offset, false) })
	bytes := (heap() - before) / float64(nr*uint64(nrRanges))

	passes := 1 + 100000/nr
	start := now()
	for pass := uint64(0); pass < passes; pass++ {
		p := edges[1] + pass%0x100
		s.Invalidate(memmap.MappableRange{Start: p * page, End: (p + 1) * page}, memmap.InvalidateOpts{})
	}
	call := (now() - start) / float64(nrCalls)

	remove := all(func(ms *space, ar hostarch.AddrRange, offset uint64) { s.RemoveMapping(ms, ar, offset, false) })
	show("m1", nr, add, call, remove, bytes)
}

func m2(nr uint64) {
	const pages = 1 << 20
	type mapping struct {
		ar     hostarch.AddrRange
		offset uint64
	}
	spaces, mappings := makeSpaces(nr), make([]mapping, nr)
	state := uint64(42)
	for i := range mappings {
		from := random(&state) % pages
		length := 1 + random(&state)%(pages/3)
		mappings[i] = mapping{addresses(0x100000000000+uint64(i)%1024*2*pages*page, length*page), from * page}
	}
	var s memmap.MappingSet
	before := heap()
	start := now()
	for i, m := range mappings {
		s.AddMapping(&spaces[i], m.ar, m.offset, false)
	}
	add := (now() - start) / float64(nr)
	bytes := (heap() - before) / float64(nr)
	s.Invalidate(memmap.MappableRange{Start: pages / 2 * page, End: (pages/2 + 1) * page}, memmap.InvalidateOpts{})

	start = now()
	for i, m := range mappings {
		s.RemoveMapping(&spaces[i], m.ar, m.offset, false)
	}
	remove := (now() - start) / float64(nr)
	show("m2", nr, add, 0, remove, bytes)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: bench m1 SPACES | m2 MAPPINGS")
		os.Exit(2)
	}
	nr, err := strconv.ParseUint(os.Args[2], 0, 64)
	if err != nil {
		panic(err)
	}
	if os.Args[1] == "m1" {
		m1(nr)
	} else {
		m2(nr)
	}
}
