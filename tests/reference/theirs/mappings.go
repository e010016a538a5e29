// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sort"
	"strings"

	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/memmap"
)

const nrSpaces = 4

// A call of Invalidate, as it arrived.
type call struct {
	space int
	ar    hostarch.AddrRange
	opts  memmap.InvalidateOpts
}

var calls []call

type space struct{ index int }

func (s *space) Invalidate(ar hostarch.AddrRange, opts memmap.InvalidateOpts) {
	calls = append(calls, call{s.index, ar, opts})
}

var spaces [nrSpaces]*space

// mappingsRunner has the operations of every set, and those of the mapping set.
type mappingsRunner struct{ mappingRunner }

func newMappingRunner() runner {
	for i := range spaces {
		spaces[i] = &space{i}
	}
	return &mappingsRunner{}
}

// aMapping makes a mapping of r out of bits: mostly one that fits the range.
func aMapping(r memmap.MappableRange, bits uint64) memmap.MappingOfRange {
	start := r.Start&0xffffffff + bits>>3&1*0x100000
	length := r.Length()
	if bits>>4&3 == 3 || length > 1<<40 {
		length = 0x1000
	}
	return memmap.MappingOfRange{
		MappingSpace: spaces[bits&3],
		AddrRange:    hostarch.AddrRange{hostarch.Addr(start), hostarch.Addr(start + length)},
		Writable:     bits>>2&1 != 0,
	}
}

func mappingMake(r memmap.MappableRange, v uint64) memmap.MappingsOfRange {
	m := memmap.MappingsOfRange{}
	for i := uint64(0); i < v&3; i++ {
		m[aMapping(r, v>>(2+6*i))] = struct{}{}
	}
	return m
}

func mappingPoke(p *memmap.MappingsOfRange, r memmap.MappableRange, v uint64) {
	m := aMapping(r, v)
	if _, ok := (*p)[m]; ok {
		delete(*p, m)
	} else {
		(*p)[m] = struct{}{}
	}
}

func mappingShow(v memmap.MappingsOfRange) string {
	all := make([]memmap.MappingOfRange, 0, len(v))
	for m := range v {
		all = append(all, m)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if a.AddrRange.Start != b.AddrRange.Start {
			return a.AddrRange.Start < b.AddrRange.Start
		}
		if a.AddrRange.End != b.AddrRange.End {
			return a.AddrRange.End < b.AddrRange.End
		}
		if a.MappingSpace != b.MappingSpace {
			return a.MappingSpace.(*space).index < b.MappingSpace.(*space).index
		}
		return !a.Writable && b.Writable
	})
	var out strings.Builder
	out.WriteByte('{')
	for _, m := range all {
		fmt.Fprintf(&out, "%d@%x-%x", m.MappingSpace.(*space).index, uint64(m.AddrRange.Start), uint64(m.AddrRange.End))
		if m.Writable {
			out.WriteByte('w')
		}
		out.WriteByte(' ')
	}
	out.WriteByte('}')
	return out.String()
}

// showCalls prints the calls that one invalidation made: those of a segment come together but in no
// particular order, so they are sorted within their segment.
func (r *mappingsRunner) showCalls(mr memmap.MappableRange, out *strings.Builder) {
	rest := calls
	for seg := r.set().LowerBoundSegment(mr.Start); seg.Ok() && seg.Start() < mr.End; seg = seg.NextSegment() {
		n := len(seg.Value())
		if n > len(rest) {
			out.WriteString("too few calls")
			return
		}
		own := rest[:n]
		rest = rest[n:]
		sort.Slice(own, func(i, j int) bool {
			if own[i].ar.Start != own[j].ar.Start {
				return own[i].ar.Start < own[j].ar.Start
			}
			if own[i].ar.End != own[j].ar.End {
				return own[i].ar.End < own[j].ar.End
			}
			return own[i].space < own[j].space
		})
		for _, c := range own {
			fmt.Fprintf(out, "%d@%x-%x%t ", c.space, uint64(c.ar.Start), uint64(c.ar.End), c.opts.InvalidatePrivate)
		}
		out.WriteByte(';')
	}
	fmt.Fprint(out, len(rest))
	calls = calls[:0]
}

func (r *mappingsRunner) run(name string, a []uint64, out *strings.Builder) {
	s := r.set()
	switch name {
	case "map", "unmap":
		ar := hostarch.AddrRange{hostarch.Addr(a[1]), hostarch.Addr(a[1] + a[2])}
		var ranges []memmap.MappableRange
		if name == "map" {
			ranges = s.AddMapping(spaces[a[0]], ar, a[3], a[4] != 0)
		} else {
			ranges = s.RemoveMapping(spaces[a[0]], ar, a[3], a[4] != 0)
		}
		for _, mr := range ranges {
			fmt.Fprintf(out, "[%x,%x)", mr.Start, mr.End)
		}
	case "inval":
		mr := memmap.MappableRange{a[0], a[1]}
		s.Invalidate(mr, memmap.InvalidateOpts{InvalidatePrivate: a[2] != 0})
		r.showCalls(mr, out)
	case "invalall":
		s.InvalidateAll(memmap.InvalidateOpts{InvalidatePrivate: a[0] != 0})
		r.showCalls(memmap.MappableRange{lowestKey, highestKey}, out)
	case "has":
		if seg := s.FindSegment(a[0]); seg.Ok() {
			_, ok := seg.Value()[aMapping(seg.Range(), a[1])]
			fmt.Fprint(out, ok)
		}
	default:
		r.mappingRunner.run(name, a, out)
	}
}
