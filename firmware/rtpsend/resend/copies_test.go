package resend

import (
	"testing"
	"time"
)

func TestCopiesWaitInOrderAndAreBounded(t *testing.T) {
	var c copies
	if w := c.nextWait(5); w != 0 {
		t.Errorf("wait of none %v", w)
	}
	for round := range 3 { // around the ring
		at := time.Duration(round) * time.Second
		for i := range maxCopies + 5 {
			if added := c.addCopy(at+time.Duration(i), uint16(i), true); added != (i < maxCopies) {
				t.Fatalf("round %d: %d added: %v", round, i, added)
			}
		}
		if w := c.nextWait(at); w != copyDelay {
			t.Errorf("the first waits %v, want %v", w, copyDelay)
		}
		for i := range maxCopies {
			due := at + time.Duration(i) + copyDelay
			if _, ok := c.takeDue(due - 1); ok {
				t.Fatalf("round %d: %d came too early", round, i)
			}
			if got, ok := c.takeDue(due); !ok || got.sequence != uint16(i) {
				t.Fatalf("round %d: got %d, %v, want %d", round, got.sequence, ok, i)
			}
		}
		if _, ok := c.takeDue(at + time.Hour); ok {
			t.Fatalf("round %d: more than %d", round, maxCopies)
		}
	}
}
