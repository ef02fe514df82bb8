package flash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/card"
	"github.com/krazycam/krazycam/gokrazy/disk"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
)

// newCard is a file that stands for a card.
func newCard(t *testing.T, size int64) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "card"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

const smallSize = 16 * mib

// smallImage has what Card looks at: a table and a boot partition with a place
// for a seed. The rest is noise.
func smallImage(t *testing.T) (path, sum string) {
	t.Helper()
	path = newCard(t, smallSize)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table := disk.Table{Disk: disk.GUID{1}, Size: smallSize,
		Partitions: []disk.Partition{{Type: disk.TypeEFI, ID: disk.GUID{2}, Start: mib, Size: 8 * mib}}}
	boot := []disk.Entry{{Path: card.SeedName, Bytes: card.PaddedSeed(nil, card.SeedSize)}}
	_, noiseErr := f.WriteAt(bytes.Repeat([]byte("noise"), 100_000), 10*mib)
	err = errors.Join(noiseErr, disk.WriteTable(f, table),
		disk.WriteFAT(io.NewOffsetWriter(f, mib), disk.FATOptions{Size: 8 * mib}, boot))
	if err != nil {
		t.Fatal(err)
	}
	return path, hashOf(t, path)
}

func opened(t *testing.T, path string) *Image {
	t.Helper()
	image, err := OpenImage(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := image.Close(); err != nil {
			t.Error(err)
		}
	})
	return image
}

func hashOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// readBackSeed gives the seed with what fills its place.
func readBackSeed(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	boot, _, err := card.OpenBoot(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(boot, card.SeedName)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFlashWritesReadsBackAndSeeds(t *testing.T) {
	image, sum := smallImage(t)
	target := newCard(t, smallSize+10*mib)
	var steps []string
	done, err := Card(context.Background(), Job{
		Image: opened(t, image), Target: target, Seed: []byte(`{}`),
		Progress: func(step string, done, total int64) {
			if len(steps) == 0 || steps[len(steps)-1] != step {
				steps = append(steps, step)
			}
			if done > total || total > smallSize {
				t.Errorf("%s: %d of %d", step, done, total)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if done.SHA256 != sum || done.Bytes != smallSize || !done.Seed {
		t.Errorf("%+v, image has sha256 %s", done, sum)
	}
	if strings.Join(steps, ", ") != "checking the image, looking, writing, reading back" {
		t.Errorf("steps %q", steps)
	}
	if got := strings.TrimSpace(string(readBackSeed(t, target))); got != "{}" {
		t.Errorf("seed %q", got)
	}
	if got := readBackSeed(t, image); len(bytes.TrimSpace(got)) != 0 {
		t.Errorf("the image took the seed: %q", got)
	}
}

func TestFlashRefusesBeforeTheFirstByte(t *testing.T) {
	image, sum := smallImage(t)
	small := newCard(t, smallSize-1)
	for _, c := range []struct {
		name string
		job  Job
		is   error
		want string
	}{
		{"a card that is too small", Job{Target: small}, ErrTooSmall, "has 16777215 bytes, "},
		{"the image itself", Job{Target: image}, drive.ErrInUse, "is the image itself"},
		{"a character device", Job{Target: os.DevNull}, drive.ErrNotACard, os.DevNull},
		{"a folder", Job{Target: t.TempDir()}, drive.ErrNotACard, ""},
		{"a seed that is too long", Job{Target: small, Seed: make([]byte, card.SeedSize)},
			card.ErrSeedTooLong, "can hold 16383"},
		{"no card", Job{Target: filepath.Join(t.TempDir(), "none")}, os.ErrNotExist, ""},
		{"no image", Job{Target: small, Image: opened(t, small)}, disk.ErrDamaged, "GPT"},
	} {
		if c.job.Image == nil {
			c.job.Image = opened(t, image)
		}
		_, err := Card(context.Background(), c.job)
		if err == nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %v and %q in it", c.name, err, c.is, c.want)
		}
	}
	if b, err := os.ReadFile(small); err != nil || !bytes.Equal(b, make([]byte, smallSize-1)) {
		t.Errorf("the card that was refused changed: %v", err)
	}
	if hashOf(t, image) != sum {
		t.Error("the image changed")
	}
}

func TestFlashThatIsInterruptedLeavesNothingThatLooksLikeACard(t *testing.T) {
	image, _ := smallImage(t)
	target, _ := smallImage(t) // it was a good one before
	for _, c := range []struct {
		step  string
		table bool // on the card afterwards
	}{{"reading back", true}, {"writing", false}} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, err := Card(ctx, Job{Image: opened(t, image), Target: target, Seed: []byte("{}"),
			Progress: func(step string, _, _ int64) {
				if step == c.step {
					cancel()
				}
			}})
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "flash it again") {
			t.Errorf("%s: error %v, want context.Canceled and what to do", c.step, err)
		}
		f, err := os.Open(target)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := disk.ReadTable(f, smallSize); (err == nil) != c.table {
			t.Errorf("%s: table of the card: %v", c.step, err)
		}
		f.Close()
	}
}

func TestFlashThatIsInterruptedBeforeItWritesLeavesTheCardAsItWas(t *testing.T) {
	image, _ := smallImage(t)
	target, sum := slotsImage(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Card(ctx, Job{Image: opened(t, image), Target: target, Progress: func(string, int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "nothing was written") {
		t.Errorf("error %v, want context.Canceled and that nothing was written", err)
	}
	if hashOf(t, target) != sum {
		t.Error("the card changed")
	}
}

func TestSeedThatTheCardDoesNotKeepIsNoticed(t *testing.T) {
	path, _ := smallImage(t)
	if err := card.WriteSeed(path, []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	target, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := compareSeed(target, smallSize, []byte(`{"a":1}`)); err != nil {
		t.Errorf("the seed that is there: %v", err)
	}
	for _, other := range []string{`{}`, `{"a":1}}`, `{"a":2}`} {
		if err := compareSeed(target, smallSize, []byte(other)); !errors.Is(err, ErrReadBack) {
			t.Errorf("seed %s: error %v, want ErrReadBack", other, err)
		}
	}
}
