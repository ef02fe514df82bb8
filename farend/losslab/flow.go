//go:build linux

// A flow: one direction of a relay. Two goroutines: one reads packets and draws their fate, one
// forwards them when their time has come.

package losslab

import (
	"container/heap"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A heldPacket waits for its time. order keeps packets of the same time in line.
type heldPacket struct {
	at    time.Time
	order uint64
	from  netip.AddrPort
	bytes []byte
}

// packetQueue is a heap, the packet that is due first on top.
type packetQueue []heldPacket

func (w packetQueue) Len() int { return len(w) }
func (w packetQueue) Less(i, j int) bool {
	return w[i].at.Before(w[j].at) || w[i].at.Equal(w[j].at) && w[i].order < w[j].order
}
func (w packetQueue) Swap(i, j int) { w[i], w[j] = w[j], w[i] }
func (w *packetQueue) Push(x any)   { *w = append(*w, x.(heldPacket)) }
func (w *packetQueue) Pop() any {
	old := *w
	last := old[len(old)-1]
	*w = old[:len(old)-1]
	return last
}

// A flow reads from in and forwards each copy of a packet after its wait.
type flow struct {
	in         *net.UDPConn
	fates      *fates
	forward    func(b []byte, from netip.AddrPort)
	noteSender func(from netip.AddrPort) // called for each packet, lost or not; may be nil

	mu    sync.Mutex
	queue packetQueue
	wake  chan struct{}
	quit  chan struct{}
	ended sync.WaitGroup
}

func newFlow(in *net.UDPConn, fates *fates, forward func([]byte, netip.AddrPort)) *flow {
	return &flow{in: in, fates: fates, forward: forward, wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

// startReading starts both goroutines.
func (f *flow) startReading() {
	f.ended.Add(2)
	go f.readPackets()
	go f.releasePackets()
}

// closeFlow ends the flow and its socket; what still waits is dropped.
func (f *flow) closeFlow() {
	close(f.quit)
	_ = f.in.Close() // wakes the reader
	f.ended.Wait()
}

func (f *flow) readPackets() {
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
		if f.noteSender != nil {
			f.noteSender(from)
		}
		f.mu.Lock()
		for _, wait := range f.fates.drawWaits(now.Sub(first)) {
			order++
			heap.Push(&f.queue, heldPacket{now.Add(wait), order, from, append([]byte(nil), b[:n]...)})
		}
		f.mu.Unlock()
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// takeDue takes the first packet whose time has come; wait is the time until there is one.
func (f *flow) takeDue(now time.Time) (h heldPacket, wait time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return heldPacket{}, time.Hour, false
	}
	if wait := f.queue[0].at.Sub(now); wait > 0 {
		return heldPacket{}, wait, false
	}
	return heap.Pop(&f.queue).(heldPacket), 0, true
}

func (f *flow) releasePackets() {
	defer f.ended.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		h, wait, ok := f.takeDue(time.Now())
		if ok {
			f.forward(h.bytes, h.from)
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
