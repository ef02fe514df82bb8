package receiver

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

func TestReadyAsLongAsStreamsAreServed(t *testing.T) {
	var late atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	s, err := Listen(Config{Host: "127.0.0.1", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if s.Ready() == nil {
		t.Error("a receiver that does not run is ready")
	}
	await := func(want bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); (s.Ready() == nil) != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("ready is %v, want %v", !want, want)
			}
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	await(true)
	s.strangersMu.Lock() // Run cannot go on
	late.Store(int64(2 * servedMax))
	await(false)
	s.strangersMu.Unlock()
	await(true)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s.Ready() == nil {
		t.Error("a receiver that has ended is ready")
	}
}
