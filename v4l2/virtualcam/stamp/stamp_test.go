package stamp

import (
	"math/rand"
	"testing"
	"time"
)

func TestReadGivesBackWhatDrawWrote(t *testing.T) {
	at := time.Unix(1_700_000_000, 123_456_000)
	for _, c := range []struct {
		name         string
		stride, step int
		number       uint32
	}{
		{"narrowest plane", Width, 1, 0},
		{"plane with a wide stride", 700, 1, 77},
		{"YUYV", 640 * 2, 2, 1<<24 - 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			luma := make([]byte, c.stride*Height)
			New(c.number, at).Draw(luma, c.stride, c.step)
			s, ok := Read(luma, c.stride, c.step)
			if !ok || s.Number != c.number {
				t.Fatalf("Read = %+v, %v, want number %d", s, ok, c.number)
			}
			if age := s.Age(at.Add(50 * time.Millisecond)); age != 50*time.Millisecond {
				t.Errorf("Age = %v, want 50ms", age)
			}
		})
	}
}

func TestNumberAndClockWrap(t *testing.T) {
	wrap := time.UnixMicro(7 << 40)
	s := New(1<<24+5, wrap.Add(-time.Millisecond))
	if s.Number != 5 {
		t.Errorf("Number = %d, want 5", s.Number)
	}
	if age := s.Age(wrap.Add(time.Millisecond)); age != 2*time.Millisecond {
		t.Errorf("Age over the wrap = %v, want 2ms", age)
	}
	if age := s.Age(wrap.Add(-time.Second)); age != 0 {
		t.Errorf("Age with a clock that went back = %v, want 0", age)
	}
}

func TestReadSurvivesNoiseAndHalfTheContrast(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	luma := make([]byte, Width*Height)
	New(4711, time.UnixMicro(99)).Draw(luma, Width, 1)
	for i, v := range luma {
		luma[i] = byte((int(v)-126)/2 + 126 + r.Intn(41) - 20)
	}
	if s, ok := Read(luma, Width, 1); !ok || s.Number != 4711 {
		t.Errorf("Read = %+v, %v, want number 4711", s, ok)
	}
}

func TestReadRefusesWhatIsNoStamp(t *testing.T) {
	full := make([]byte, Width*Height)
	New(1, time.UnixMicro(2)).Draw(full, Width, 1)
	flipped := append([]byte(nil), full...)
	for y := range Block {
		for x := range Block {
			flipped[y*Width+x] ^= 0xff
		}
	}
	for _, c := range []struct {
		name   string
		luma   []byte
		stride int
	}{
		{"a black picture", make([]byte, Width*Height), Width},
		{"one wrong block", flipped, Width},
		{"too few rows", full[:len(full)-1], Width},
		{"too narrow", full, Width - 1},
		{"nothing", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if s, ok := Read(c.luma, c.stride, 1); ok {
				t.Errorf("Read = %+v, true, want false", s)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add(make([]byte, Width*Height), Width, 1)
	f.Fuzz(func(t *testing.T, luma []byte, stride, step int) {
		if step != 1 && step != 2 || stride > 1<<20 {
			t.Skip()
		}
		Read(luma, stride, step)
	})
}
