// SPDX-License-Identifier: Apache-2.0

// The contestant: the reference's set, over the same operations as ../../bench_body.h. The build makes
// the set out of the installed package, with gap tracking and without.
package main

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"gvisor.dev/gvisor/pkg/sentry/memmap"
)

type benchSetFunctions struct{}

func (benchSetFunctions) MinKey() uint64     { return 0 }
func (benchSetFunctions) MaxKey() uint64     { return ^uint64(0) }
func (benchSetFunctions) ClearValue(*uint64) {}

func (benchSetFunctions) Merge(memmap.FileRange, uint64, memmap.FileRange, uint64) (uint64, bool) {
	return 0, false
}

func (benchSetFunctions) Split(_ memmap.FileRange, v uint64, _ uint64) (uint64, uint64) {
	return v, v
}

type bench struct {
	n, nrOps  uint64
	order     []uint32
	state     uint64
	checksum  uint64
	spent     [9]float64
	bytes     [2]float64
	lastValue uint64
}

const (
	inOrder = iota
	atRandom
	hit
	dependent
	anyKey
	iterate
	churn
	gap
	gapFrom0
)

func (b *bench) random() uint64 {
	b.state += 0x9e3779b97f4a7c15
	z := b.state
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

func high(x, n uint64) uint64 {
	h, _ := bits.Mul64(x, n)
	return h
}

func (b *bench) below(n uint64) uint64 { return high(b.random(), n) }

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

func add(s *benchSet, k uint64) {
	if !s.Add(memmap.FileRange{Start: k * 0x3000, End: k*0x3000 + 0x1000}, k) {
		panic("overlap")
	}
}

func (b *bench) inserts() *benchSet {
	builds := uint64(1)
	if b.n < 100000 {
		builds = 200000 / b.n
	}
	var s *benchSet
	for random := 0; random < 2; random++ {
		spent := 0.0
		for i := uint64(0); i < builds; i++ {
			s = nil
			before := 0.0
			if i+1 == builds {
				before = heap()
			}
			start := now()
			s = &benchSet{}
			for j := uint64(0); j < b.n; j++ {
				if random != 0 {
					add(s, uint64(b.order[j]))
				} else {
					add(s, j)
				}
			}
			spent += now() - start
			if i+1 == builds {
				b.bytes[1-random] = (heap() - before) / float64(b.n)
			}
		}
		b.spent[inOrder+random] = spent / float64(builds*b.n)
	}
	return s
}

func (b *bench) find(s *benchSet, key, otherwise uint64) uint64 {
	seg := s.FindSegment(key)
	if !seg.Ok() {
		return otherwise
	}
	b.lastValue = seg.Value()
	return b.lastValue
}

func (b *bench) finds(s *benchSet) {
	sum := uint64(0)
	b.lastValue = 0
	start := now()
	for i := uint64(0); i < b.nrOps; i++ {
		x := b.random()
		sum += b.find(s, high(x, b.n)*0x3000+x&0xfff, 0)
	}
	b.spent[hit] = (now() - start) / float64(b.nrOps)

	start = now()
	for i := uint64(0); i < b.nrOps; i++ {
		x := b.random() + b.lastValue
		sum += b.find(s, high(x, b.n)*0x3000+x&0xfff, 0)
	}
	b.spent[dependent] = (now() - start) / float64(b.nrOps)

	start = now()
	for i := uint64(0); i < b.nrOps; i++ {
		sum += b.find(s, b.below(b.n*0x3000), 1)
	}
	b.spent[anyKey] = (now() - start) / float64(b.nrOps)
	b.checksum = b.checksum*31 + sum
}

func sumOf(s *benchSet) uint64 {
	sum := uint64(0)
	for seg := s.FirstSegment(); seg.Ok(); seg = seg.NextSegment() {
		sum += seg.Start() + seg.End() + seg.Value()
	}
	return sum
}

func (b *bench) iterates(s *benchSet) {
	passes := 4000000/b.n + 1
	sum := uint64(0)
	start := now()
	for i := uint64(0); i < passes; i++ {
		sum += sumOf(s) * (i + 1)
	}
	b.spent[iterate] = (now() - start) / float64(passes*b.n)
	b.checksum = b.checksum*31 + sum
}

func (b *bench) churns(s *benchSet) {
	out := b.below(b.n)
	s.Remove(s.FindSegment(out * 0x3000))
	start := now()
	for i := uint64(0); i < b.nrOps; i++ {
		k := b.below(b.n)
		if k == out {
			continue
		}
		s.Remove(s.FindSegment(k * 0x3000))
		add(s, out)
		out = k
	}
	b.spent[churn] = (now() - start) / float64(b.nrOps)
	add(s, out)
	b.checksum = b.checksum*31 + sumOf(s)
}

func lowestGap(s *benchSet, from, size uint64) uint64 {
	g := s.LowerBoundGap(from)
	if g.Range().Length() < size {
		g = g.NextLargeEnoughGap(size)
	}
	if !g.Ok() {
		return ^uint64(0)
	}
	return g.Start()
}

func (b *bench) gaps(s *benchSet) {
	step := uint64(1000)
	if b.n < 2000 {
		step = b.n / 2
	}
	for k := step / 2; k < b.n; k += step {
		s.Remove(s.FindSegment(k * 0x3000))
	}
	sum := uint64(0)
	start := now()
	for i := uint64(0); i < b.nrOps; i++ {
		sum += lowestGap(s, b.below(b.n*0x3000), 0x3000)
	}
	b.spent[gap] = (now() - start) / float64(b.nrOps)
	start = now()
	for i := uint64(0); i < b.nrOps; i++ {
		sum += lowestGap(s, 0, 0x3000+i&0xff)
	}
	b.spent[gapFrom0] = (now() - start) / float64(b.nrOps)
	b.checksum = b.checksum*31 + sum
}

func run(n uint64) {
	b := bench{n: n, nrOps: 1000000, state: 42, order: make([]uint32, n)}
	for i := range b.order {
		b.order[i] = uint32(i)
	}
	for i := n; i > 1; i-- {
		j := b.below(i)
		b.order[i-1], b.order[j] = b.order[j], b.order[i-1]
	}
	s := b.inserts()
	b.finds(s)
	b.iterates(s)
	b.churns(s)
	name := "reference"
	if benchtrackGaps != 0 {
		b.gaps(s)
		name = "reference, gaps tracked"
	}
	fmt.Printf("%-24s %8d", name, n)
	for _, spent := range b.spent {
		if spent > 0 {
			fmt.Printf(" %9.2f", spent)
		} else {
			fmt.Printf(" %9s", "-")
		}
	}
	fmt.Printf(" %7.1f %7.1f  %016x\n", b.bytes[0], b.bytes[1], b.checksum)
}

func main() {
	for _, arg := range os.Args[1:] {
		n, err := strconv.ParseUint(arg, 0, 64)
		if err != nil {
			panic(err)
		}
		run(n)
	}
}
