package unpack

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/krazycam/krazycam/farend/need"
)

// sparse is a file in memory, and counts what is written.
type sparse struct {
	b       []byte
	written atomic.Int64 // several goroutines write
}

func (s *sparse) WriteAt(b []byte, at int64) (int, error) {
	s.written.Add(int64(len(b)))
	return copy(s.b[at:], b), nil
}

// originalSize is small: unpacking is slow under the race detector.
const originalSize = 2 << 20

// original is part of an image: noise, zeros, text.
func original(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, originalSize)
	random := rand.NewChaCha8([32]byte{1})
	if _, err := random.Read(b[:200_000]); err != nil {
		t.Fatal(err)
	}
	copy(b[originalSize-300_000:], bytes.Repeat([]byte("krazycam "), 20_000))
	return b
}

// packed runs the real xz.
func packed(t testing.TB, b []byte, flags ...string) []byte {
	t.Helper()
	need.Tools(t, "xz")
	cmd := exec.Command("xz", append([]string{"--stdout"}, flags...)...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("xz %q: %v", flags, err)
	}
	return out
}

func unpacked(b []byte, limit int64) (*sparse, int64, error) {
	to := &sparse{b: make([]byte, limit)}
	n, err := XZ(context.Background(), bytes.NewReader(b), int64(len(b)), to, limit, nil)
	return to, n, err
}

func TestWhatXZPacksIsUnpacked(t *testing.T) {
	want := original(t)
	for _, flags := range [][]string{
		nil, {"-0", "--block-size=256KiB"}, {"-9", "--threads=2", "--block-size=700KiB"},
		{"--check=crc32"}, {"--check=sha256", "--block-size=512KiB"}, {"--lzma2=dict=64MiB"},
	} {
		to, n, err := unpacked(packed(t, want, flags...), 8<<20)
		if err != nil || n != int64(len(want)) || !bytes.Equal(to.b[:n], want) {
			t.Errorf("xz %q: %d bytes, %v", flags, n, err)
		}
		if to.written.Load() > 1<<20 {
			t.Errorf("xz %q: %d bytes written: zeros are not left out", flags, to.written.Load())
		}
	}
	if to, n, err := unpacked(packed(t, nil), 1); n != 0 || err != nil || to.written.Load() != 0 {
		t.Errorf("nothing, packed: %d bytes, %v", n, err)
	}
}

func TestProgressRisesToTheWhole(t *testing.T) {
	b := packed(t, original(t), "--block-size=256KiB")
	last := int64(0)
	_, err := XZ(t.Context(), bytes.NewReader(b), int64(len(b)), &sparse{b: make([]byte, originalSize)}, originalSize,
		func(done, total int64) {
			if done <= last || done > total || total != originalSize {
				t.Errorf("%d after %d, of %d", done, last, total)
			}
			last = done
		})
	if err != nil || last != originalSize {
		t.Errorf("ended at %d, %v", last, err)
	}
}

func TestInterruptionEndsUnpacking(t *testing.T) {
	b := packed(t, original(t), "--block-size=256KiB")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := XZ(ctx, bytes.NewReader(b), int64(len(b)), &sparse{b: make([]byte, originalSize)}, originalSize,
		func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

func TestDamageIsFoundWhereverItIs(t *testing.T) {
	want := original(t)[150_000:350_000]
	good := packed(t, want, "--block-size=128KiB")
	for at := 0; at < len(good); at += max(1, len(good)/100) {
		b := slices.Clone(good)
		b[at] ^= 0x10
		if to, n, err := unpacked(b, 8<<20); err == nil && !bytes.Equal(to.b[:n], want) {
			t.Errorf("a bit at %d changed, and what is unpacked with it", at)
		}
	}
	for _, n := range []int{0, 1, 12, 100, len(good) / 2, len(good) - 4, len(good) - 1} {
		if _, _, err := unpacked(good[:n], 8<<20); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d of %d bytes: %v, want ErrDamaged", n, len(good), err)
		}
	}
	if _, _, err := unpacked(append(slices.Clone(good), good...), 16<<20); !errors.Is(err, ErrDamaged) {
		t.Errorf("two in one: %v, want ErrDamaged", err)
	}
}

func TestABlockLargerThanTheIndexSaysIsDamaged(t *testing.T) {
	good := packed(t, original(t))
	r := bytes.NewReader(good)
	x, err := readIndex(r, r.Size(), originalSize)
	if err != nil {
		t.Fatal(err)
	}
	u := unpacker{from: r, to: &sparse{b: make([]byte, originalSize)}, index: x}
	x.blocks[0].size--
	_, err = u.write(t.Context(), x.blocks[0], bytes.NewReader(good[frameSize:]))
	if !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "%!") {
		t.Errorf("%v, want ErrDamaged", err)
	}
}

func TestWithoutChecksumsNothingIsUnpacked(t *testing.T) {
	to, _, err := unpacked(packed(t, original(t), "--check=none"), 8<<20)
	if !errors.Is(err, ErrNoSum) || to.written.Load() > 0 {
		t.Errorf("%v, %d bytes written, want ErrNoSum", err, to.written.Load())
	}
}

func TestLimitsHoldBeforeAnythingIsUnpacked(t *testing.T) {
	good := packed(t, original(t))
	if to, _, err := unpacked(good, originalSize-1); !errors.Is(err, ErrTooLarge) || to.written.Load() > 0 {
		t.Errorf("an image that is too large: %v, %d bytes written", err, to.written.Load())
	}
	if _, _, err := unpacked(packed(t, original(t), "--lzma2=dict=96MiB"), 8<<20); !errors.Is(err, ErrMemory) {
		t.Errorf("a dictionary of 96 MiB: %v, want ErrMemory", err)
	}
	// The first block's header asks for 4 GiB.
	b := slices.Clone(good)
	head := b[frameSize : frameSize+(int(b[frameSize])+1)*4]
	i := bytes.Index(head, []byte{0x21, 1})
	head[i+2] = 40
	binary.LittleEndian.PutUint32(head[len(head)-4:], crc32.ChecksumIEEE(head[:len(head)-4]))
	if _, _, err := unpacked(b, 8<<20); !errors.Is(err, ErrMemory) {
		t.Errorf("a dictionary of 4 GiB: %v, want ErrMemory", err)
	}
}

func TestXZIsKnownByItsBeginning(t *testing.T) {
	for name, b := range map[string][]byte{"zeros": make([]byte, 100), "nothing": nil} {
		if IsXZ(bytes.NewReader(b)) {
			t.Errorf("%s are taken", name)
		}
	}
	if !IsXZ(bytes.NewReader(packed(t, nil))) {
		t.Error("what xz has packed is not taken")
	}
}

func FuzzXZ(f *testing.F) {
	small := append(make([]byte, 2000), "krazycam"...)
	for _, size := range []int64{700, 1 << 20} {
		var b bytes.Buffer
		w, err := xz.WriterConfig{BlockSize: size, DictCap: 1 << 16}.NewWriter(&b)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(small); err != nil {
			f.Fatal(err)
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(headerMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 16
		x, err := readIndex(bytes.NewReader(b), int64(len(b)), limit)
		if err == nil && (x.total > limit || len(x.blocks) > len(b)) {
			t.Errorf("%d bytes in %d blocks", x.total, len(x.blocks))
		}
		for _, block := range x.blocks { // what is allowed, but too slow to try here
			if n, err := dictionarySize(bytes.NewReader(b), block); err != nil || n > 1<<20 {
				return
			}
		}
		to, n, err := unpacked(b, limit)
		if err == nil && n > int64(len(to.b)) {
			t.Errorf("%d bytes of %d", n, len(to.b))
		}
	})
}
