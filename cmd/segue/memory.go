package main

import (
	"os"
	"runtime/debug"
	"slices"
)

// stationMemory is the part of customer.memory that profiles, caches and buffers
// get. The rest is what the garbage collector needs to work in, and what Go does
// not count.
func (c *Customer) stationMemory() int64 { return int64(c.Memory) / 4 * 3 }

// goMemory is the part that Go keeps within: the cache of the store and the
// program itself come on top.
func (c *Customer) goMemory() int64 { return int64(c.Memory) / 16 * 13 }

// gcPercent lets the heap grow to three times what is in use, as far as the
// limit allows: a station's profiles are many pointers, and rarely garbage.
const gcPercent = 200

// limitMemory holds a process with a customer station to customer.memory, unless
// GOMEMLIMIT says otherwise, or the process is a broker as well.
func (l *loaded) limitMemory(picked []station) {
	customer := slices.ContainsFunc(picked, func(s station) bool { return s.name == "customer" })
	if customer && l.Kafka.Embedded == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(l.Customer.goMemory())
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(gcPercent)
		}
	}
}
