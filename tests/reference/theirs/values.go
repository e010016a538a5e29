// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"gvisor.dev/gvisor/pkg/sentry/memmap"
)

const (
	lowestKey  = 0
	highestKey = ^uint64(0)
)

type keys struct{}

func (keys) MinKey() uint64 { return lowestKey }
func (keys) MaxKey() uint64 { return highestKey }

func (keys) ClearValue(v *uint64) { *v = 0 }

// equalSetFunctions: neighbours with the same value merge.
type equalSetFunctions struct{ keys }

func (equalSetFunctions) Merge(_ memmap.FileRange, v1 uint64, _ memmap.FileRange, v2 uint64) (uint64, bool) {
	return v1, v1 == v2
}

func (equalSetFunctions) Split(_ memmap.FileRange, v uint64, _ uint64) (uint64, uint64) {
	return v, v
}

func equalMake(_ memmap.FileRange, v uint64) uint64      { return v % 3 }
func equalShow(v uint64) string                          { return fmt.Sprintf("%x", v) }
func equalPoke(p *uint64, r memmap.FileRange, v uint64)  { *p = equalMake(r, v) }
func offsetShow(v uint64) string                         { return fmt.Sprintf("%x", v) }
func offsetPoke(p *uint64, r memmap.FileRange, v uint64) { *p = offsetMake(r, v) }
func offsetMake(r memmap.FileRange, v uint64) uint64     { return r.Start + v%3*0x100000000000 }

// offsetSetFunctions: a value is where the segment leads to, and advances with the keys.
type offsetSetFunctions struct{ keys }

func (offsetSetFunctions) Merge(r1 memmap.FileRange, v1 uint64, _ memmap.FileRange, v2 uint64) (uint64, bool) {
	return v1, v2 == v1+r1.Length()
}

func (offsetSetFunctions) Split(r memmap.FileRange, v uint64, at uint64) (uint64, uint64) {
	return v, v + (at - r.Start)
}
