//go:build linux

// Flow: one direction of a relay. Two goroutines: one reads and decides, one lets the
// packets go when their time has come.

package losslab

import (
	"container/heap"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A held packet waits for its time. order keeps packets of the same time in line.
type held struct {
	at    time.Time
	order uint64
	from  netip.AddrPort
	bytes []byte
}

type waiting []held

func (w waiting) Len() int { return len(w) }
func (w waiting) Less(i, j int) bool {
	return w[i].at.Before(w[j].at) || w[i].at.Equal(w[j].at) && w[i].order < w[j].order
}
func (w waiting) Swap(i, j int) { w[i], w[j] = w[j], w[i] }
func (w *waiting) Push(x any)   { *w = append(*w, x.(held)) }
func (w *waiting) Pop() any {
	old := *w
	last := old[len(old)-1]
	*w = old[:len(old)-1]
	return last
}

// A flow reads from in and gives each copy of a packet to out after its wait.
type flow struct {
	in   *net.UDPConn
	fate *fates
	out  func(b []byte, from netip.AddrPort)
	seen func(from netip.AddrPort) // each packet, lost or not; nil: nobody asks

	mu    sync.Mutex
	queue waiting
	wake  chan struct{}
	quit  chan struct{}
	ended sync.WaitGroup
}

func newFlow(in *net.UDPConn, fate *fates, out func([]byte, netip.AddrPort)) *flow {
	return &flow{in: in, fate: fate, out: out, wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

func (f *flow) start() {
	f.ended.Add(2)
	go f.read()
	go f.release()
}

// close ends the flow and its socket; what still waits is dropped.
func (f *flow) close() {
	close(f.quit)
	_ = f.in.Close() // wakes the reader
	f.ended.Wait()
}

func (f *flow) read() {
	defer f.ended.Done()
	var first time.Time
	var order uint64
	b := make([]byte, 65536)
	for {
		n, from, err := f.in.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		now := time.Now()
		if first.IsZero() {
			first = now
		}
		if f.seen != nil {
			f.seen(from)
		}
		f.mu.Lock()
		for _, wait := range f.fate.next(now.Sub(first)) {
			order++
			heap.Push(&f.queue, held{now.Add(wait), order, from, append([]byte(nil), b[:n]...)})
		}
		f.mu.Unlock()
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// due takes the first packet whose time has come; wait is the time until there is one.
func (f *flow) due(now time.Time) (h held, wait time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return held{}, time.Hour, false
	}
	if wait := f.queue[0].at.Sub(now); wait > 0 {
		return held{}, wait, false
	}
	return heap.Pop(&f.queue).(held), 0, true
}

func (f *flow) release() {
	defer f.ended.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		h, wait, ok := f.due(time.Now())
		if ok {
			f.out(h.bytes, h.from)
			continue
		}
		timer.Reset(wait)
		select {
		case <-f.quit:
			return
		case <-f.wake:
		case <-timer.C:
		}
	}
}
