package flash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
)

// oldCard is a card with something in most places and zeros in some.
func oldCard(t *testing.T, size int64) string {
	t.Helper()
	path := newCard(t, size)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	old := bytes.Repeat([]byte("old"), 1<<20)
	for at := int64(0); at < size-4*mib; at += 5 * mib {
		if _, err := f.WriteAt(old, at); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// A countedTarget is a card in memory that counts, and that does what it likes when it is discarded.
type countedTarget struct {
	card      []byte
	written   int64
	onDiscard func(part []byte) error // nil: it cannot
}

func (c *countedTarget) ReadAt(b []byte, at int64) (int, error) { return copy(b, c.card[at:]), nil }

func (c *countedTarget) WriteAt(b []byte, at int64) (int, error) {
	c.written += int64(len(b))
	return copy(c.card[at:], b), nil
}

func (c *countedTarget) Discard(at, size int64) error {
	if c.onDiscard == nil {
		return errors.ErrUnsupported
	}
	return c.onDiscard(c.card[at : at+size])
}

func (c *countedTarget) Sync() error      { return nil }
func (c *countedTarget) DropCache() error { return nil }
func (c *countedTarget) Close() error     { return nil }

// gapsImage is an image of 32 MiB, 3 MiB of it data: the table, and noise at 9 MiB.
func gapsImage(t *testing.T) *Image {
	t.Helper()
	path, _ := slotsImage(t)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	noise := make([]byte, 2*mib)
	random := rand.NewChaCha8([32]byte{})
	if _, err := random.Read(noise); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(noise, 9*mib); err != nil {
		t.Fatal(err)
	}
	return opened(t, path)
}

func TestZerosAreWrittenOnlyWhereTheCardHasSomethingElse(t *testing.T) {
	image := gapsImage(t)
	want := make([]byte, image.Size)
	if _, err := image.ReadAt(want, 0); err != nil {
		t.Fatal(err)
	}
	fill := func(b []byte, with byte) { copy(b, bytes.Repeat([]byte{with}, len(b))) }
	const data = 4 * mib // and less: noise, tables, FAT
	for _, c := range []struct {
		name      string
		before    byte
		onDiscard func([]byte) error
		all       bool
		most      int64 // bytes written
		least     int64
	}{
		{"a new card that reads as zeros", 0, nil, false, data, 2 * mib},
		{"a used card that cannot be discarded", 7, nil, false, smallSize + blockSize, smallSize},
		{"a used card that reads as zeros when discarded", 7,
			func(b []byte) error { clear(b); return nil }, false, data, 2 * mib},
		{"a used card that reads as ones when discarded", 7,
			func(b []byte) error { fill(b, 0xff); return nil }, false, smallSize + blockSize, smallSize},
		{"a used card that ignores a discard", 7,
			func([]byte) error { return nil }, false, smallSize + blockSize, smallSize},
		{"a used card whose reader fails to discard", 7,
			func([]byte) error { return io.ErrUnexpectedEOF }, false, smallSize + blockSize, smallSize},
		// The samples look good, so that the card must be written twice.
		{"a used card that forgets half of what is discarded", 7, func(b []byte) error {
			for at := 0; at < len(b); at += blockSize {
				clear(b[at : at+blockSize/2])
			}
			clear(b[8*mib : 12*mib-unit])
			return nil
		}, false, 2*smallSize + blockSize, 8 * mib},
		{"a new card that gets zeros, too", 0, nil, true, smallSize, smallSize - blockSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := &countedTarget{card: make([]byte, image.Size), onDiscard: c.onDiscard}
			fill(target.card, c.before)
			table, err := tableFor(image, image.Size, image.Size)
			if err != nil {
				t.Fatal(err)
			}
			job := Job{Image: image, Target: "card", All: c.all}
			_, written, err := copyAndCompare(context.Background(), job, target, table)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(target.card, want) {
				t.Error("the card is not the image")
			}
			if written != target.written || written > c.most || written < c.least {
				t.Errorf("says %d bytes written, wrote %d, want %d to %d", written, target.written, c.least, c.most)
			}
		})
	}
}

// A forgetfulTarget takes a few discards; it is read as zeros, and never written.
type forgetfulTarget struct {
	countedTarget
	takes int
	told  func()
}

func (f *forgetfulTarget) ReadAt(b []byte, _ int64) (int, error) { clear(b); return len(b), nil }

func (f *forgetfulTarget) Discard(int64, int64) error {
	if f.takes--; f.takes < 0 {
		f.told()
		return errors.ErrUnsupported
	}
	return nil
}

func TestWhatIsLeftOfACardIsSaidAsItIs(t *testing.T) {
	const large = discardAtOnce + 8*mib
	for _, c := range []struct {
		name  string
		takes int // discards, before it refuses
		want  error
	}{{"its beginning is gone", 1, errUnfinished}, {"nothing is gone", 0, errUntouched}} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		target := &forgetfulTarget{takes: c.takes, told: cancel} // so planning is interrupted
		job := Job{Image: opened(t, newCard(t, large)), Target: "card"}
		_, written, err := copyAndCompare(ctx, job, target, &cardTable{})
		if !errors.Is(err, context.Canceled) || !errors.Is(err, c.want) || written+target.written != 0 {
			t.Errorf("%s: %d bytes written, %v, want %v", c.name, written, err, c.want)
		}
	}
}

func TestInterruptedBeforeTheFirstDiscardNothingWasWritten(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := &countedTarget{card: make([]byte, 2*smallSize), onDiscard: func([]byte) error {
		t.Error("the card is discarded")
		return nil
	}}
	job := Job{Image: gapsImage(t), Target: "card", Progress: func(_ string, done, total int64) {
		if done == total {
			cancel()
		}
	}}
	if _, _, err := copyAndCompare(ctx, job, target, &cardTable{}); !errors.Is(err, errUntouched) {
		t.Errorf("%v, want %v", err, errUntouched)
	}
}

func TestAnImageThatCannotBeReadCostsNoCard(t *testing.T) {
	image := gapsImage(t)
	if err := os.Truncate(image.Path, image.Size-1); err != nil { // after it was opened
		t.Fatal(err)
	}
	target := &countedTarget{card: bytes.Repeat([]byte{7}, int(image.Size)),
		onDiscard: func(b []byte) error { clear(b); return nil }}
	_, _, err := copyAndCompare(t.Context(), Job{Image: image, Target: "card"}, target, &cardTable{})
	if !errors.Is(err, io.EOF) || !errors.Is(err, errUntouched) || target.card[0] != 7 || target.written != 0 {
		t.Errorf("%v, want %v and the card as it was", err, errUntouched)
	}
}

func TestAnImageIsReadOnceUnlessItChanges(t *testing.T) {
	path, sum := smallImage(t)
	image := opened(t, path)
	looks := 0
	count := func(string, int64, int64) { looks++ }
	for range 2 {
		if got, err := image.SHA256(t.Context(), count); err != nil || got != sum {
			t.Errorf("%s, %v, want %s", got, err, sum)
		}
	}
	if looks != smallSize/blockSize {
		t.Errorf("%d blocks read, want %d", looks, smallSize/blockSize)
	}
	if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := image.SHA256(t.Context(), count); err != nil || looks != 2*smallSize/blockSize {
		t.Errorf("%d blocks read after a change, %v", looks, err)
	}
}

func TestAUsedFileBecomesTheImage(t *testing.T) {
	image, sum := slotsImage(t)
	target := oldCard(t, smallSize)
	if _, err := Card(t.Context(), Job{Image: opened(t, image), Target: target}); err != nil {
		t.Fatal(err)
	}
	if got := hashOf(t, target); got != sum {
		t.Errorf("sha256 %s, want %s", got, sum)
	}
}

func TestACardIsWrittenByOneProcess(t *testing.T) {
	image, _ := smallImage(t)
	target := newCard(t, smallSize)
	open, _, err := drive.Open(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Card(t.Context(), Job{Image: opened(t, image), Target: target}); !errors.Is(err, drive.ErrInUse) {
		t.Errorf("while another has it: %v, want ErrInUse", err)
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Card(t.Context(), Job{Image: opened(t, image), Target: target}); err != nil {
		t.Error(err)
	}
}

// loop makes a block device of a file until the test ends.
func loop(t *testing.T, file string) string {
	t.Helper()
	need.Root(t, "for a loop device")
	need.Tools(t, "losetup")
	out, err := exec.Command("losetup", "--find", "--show", "--partscan", file).CombinedOutput()
	if err != nil {
		need.Missing(t, fmt.Sprintf("a loop device: %v: %s", err, out))
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach: %v: %s", err, out)
		}
	})
	return device
}

func TestABlockDeviceIsDiscardedWrittenAndReadBack(t *testing.T) {
	image := gapsImage(t)
	file := oldCard(t, 80*mib)
	device := loop(t, file)
	if _, err := Card(t.Context(), Job{Image: image, Target: device}); !errors.Is(err, drive.ErrNotRemovable) {
		t.Errorf("a device that cannot be taken out: %v, want ErrNotRemovable", err)
	}
	done, err := Card(t.Context(), Job{Image: image, Target: device, Sure: true, Seed: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	if done.Written > 4*mib || done.Perm != 68*mib {
		t.Errorf("%+v, want less than 4 MiB written and 68 MiB of /perm", done)
	}
	if got := strings.TrimSpace(string(readBackSeed(t, file))); got != "{}" {
		t.Errorf("seed %q", got)
	}
}

func TestAMountedDeviceIsRefusedWithTheCommandThatHelps(t *testing.T) {
	image, _ := smallImage(t)
	file := newCard(t, 32*mib)
	need.Tools(t, "mkfs.ext4", "mount", "umount")
	if out, err := exec.Command("mkfs.ext4", "-q", file).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	device := loop(t, file)
	at := filepath.Join(t.TempDir(), "a card")
	if err := os.Mkdir(at, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", device, at).CombinedOutput(); err != nil {
		need.Missing(t, fmt.Sprintf("a kernel that mounts ext4: %v: %s", err, out))
	}
	_, err := Card(t.Context(), Job{Image: opened(t, image), Target: device, Sure: true})
	want := fmt.Sprintf("%s is mounted on %s: unmount it: umount '%[2]s'", device, at)
	if !errors.Is(err, drive.ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q in it", err, want)
	}
	// The kernel says the same where our look does not reach, as in another mount namespace.
	if _, _, err := drive.Open(device); !errors.Is(err, drive.ErrInUse) {
		t.Errorf("opened all the same: %v, want ErrInUse", err)
	}
	if out, err := exec.Command("umount", at).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v: %s", err, out)
	}
	if _, err := Card(t.Context(), Job{Image: opened(t, image), Target: device, Sure: true}); err != nil {
		t.Error(err)
	}
}

func TestAPackedImageIsWrittenAsItsOriginal(t *testing.T) {
	need.Tools(t, "xz")
	image, sum := slotsImage(t)
	if out, err := exec.Command("xz", "--keep", "--block-size=4MiB", image).CombinedOutput(); err != nil {
		t.Fatalf("xz: %v: %s", err, out)
	}
	target := newCard(t, 80*mib)
	done, err := Card(t.Context(), Job{Image: opened(t, image+".xz"), Target: target, Seed: []byte(`{}`)})
	if err != nil || done.SHA256 != sum || done.Bytes != smallSize {
		t.Errorf("%+v, %v, want sha256 %s", done, err, sum)
	}
	b, err := os.ReadFile(image + ".xz")
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.img.xz")
	if err := os.WriteFile(cut, b[:len(b)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenImage(t.Context(), cut, nil); err == nil || !strings.Contains(err.Error(), "download it again") {
		t.Errorf("an image that was cut short: %v", err)
	}
}
