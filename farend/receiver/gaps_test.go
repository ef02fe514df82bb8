package receiver

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// asked gives the packets that NACKs named since the last call.
func (b *bench) asked() (seqs []uint16) {
	b.t.Helper()
	for _, p := range b.rtcpOut.take(b.t) {
		if n, ok := p.(*rtcp.TransportLayerNack); ok && n.MediaSSRC == b.playedSender.ssrc {
			for _, pair := range n.Nacks {
				seqs = append(seqs, pair.PacketList()...)
			}
		}
	}
	return seqs
}

func TestReceiverAsksForMissingPacketsAndIsHealedAcrossTheWrap(t *testing.T) {
	b := newBench(t)
	b.report(1<<32, 0)
	b.send(b.frame(true, 0))
	f := b.frame(false, 3000) // 0, 1, 2: the sender began at 65533
	b.send(f, 0, 1)
	b.wait(dueInterval)
	if got := b.asked(); !slices.Equal(got, []uint16{0, 1}) {
		t.Errorf("asked for %v, want 0 and 1", got)
	}
	b.wait(2 * dueInterval)
	b.send(f[:2])
	got := b.Stats()
	if got.Frames != 2 || got.NACKs != 2 || got.Healed != 2 || got.Lost != 0 || got.LostFrames != 0 || got.PLIs != 0 {
		t.Errorf("Stats = %+v, want both frames whole and no PLI", got)
	}
	b.wait(time.Second)
	if again := b.asked(); len(again) != 0 {
		t.Errorf("asked for %v that came", again)
	}
}

func TestReceiverAsksThreeTimesThenGivesUpAndWantsAKeyFrame(t *testing.T) {
	b := newBench(t)
	b.report(1<<32, 0)
	b.send(b.frame(true, 0))
	b.send(b.frame(false, 3000), 1)
	b.wait(500 * time.Millisecond)
	if got := b.asked(); !slices.Equal(got, []uint16{1, 1, 1}) {
		t.Errorf("asked for %v, want packet 1 three times", got)
	}
	if got := b.Stats(); got.PLIs == 0 || got.NACKs != 3 || got.Healed != 0 {
		t.Errorf("Stats = %+v, want a PLI", got)
	}
}

func TestGapsOlderThanTheWindowAreForgotten(t *testing.T) {
	var l gapList
	l.takeNumber(5, 3, 0)
	for s := uint16(6); s < 5+reorderWindow; s++ {
		l.takeNumber(s, s-1, time.Millisecond)
	}
	if len(l) != 0 {
		t.Errorf("%v after %d more packets, want none", l, reorderWindow)
	}
	l.takeNumber(5000, 5+reorderWindow, 0)
	if n := len(l); n >= reorderWindow {
		t.Errorf("%d gaps after a jump, want fewer than the window's %d", n, reorderWindow)
	}
	if got := l.takeDue(nil, time.Hour); len(got) != len(l) {
		t.Errorf("%d of %d are due", len(got), len(l))
	}
	if last, any := l.dropLate(time.Hour, time.Second); !any || last != 4999 || len(l) != 0 {
		t.Errorf("dropLate = %d, %v, %v left, want 4999 and none", last, any, l)
	}
}

func TestOvertakenPacketsAreNotAskedFor(t *testing.T) {
	var l gapList
	l.takeNumber(2, 0, 0)
	if got := l.takeDue(nil, nackDelay-1); len(got) != 0 {
		t.Errorf("asked for %v at once", got)
	}
	if l.takeNumber(1, 2, nackDelay-1); len(l) != 0 {
		t.Errorf("%v is missing, want none", l)
	}
}
