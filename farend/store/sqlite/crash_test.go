// What survives a process that is killed in the middle of its work, and a disk that is full.

package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// asWriter is the environment variable that makes the test's program a process that writes to the
// database of that path until it is killed.
const asWriter = "KRAZYCAM_STORE_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(asWriter); path != "" {
		if err := writeForEver(path); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const writersOfProcess = 8

// writeForEver says each change on a line of its own after it was acknowledged.
func writeForEver(path string) error {
	s, err := Open(context.Background(), path)
	if err != nil {
		return err
	}
	c, err := s.CustomerByName(context.Background(), "anna")
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	failed := make(chan error, writersOfProcess)
	var out sync.Mutex // a line is written whole
	say := func(words ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(words...)
	}
	for range writersOfProcess {
		all.Go(func() {
			for {
				if err := writeSession(s, c, say); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	return <-failed
}

func writeSession(s *store.Store, c store.Customer, say func(...any)) error {
	ctx := context.Background()
	one, err := s.AddSource(ctx, c.ID, store.SourceLimits{Max: 1 << 30}, time.Now())
	if err != nil {
		return err
	}
	say("source", one.ID)
	id := "s" + one.ID.String()
	if err := s.BeginStream(ctx, store.Stream{ID: id, Source: one.ID, Customer: c.ID}, 0, time.Now()); err != nil {
		return err
	}
	say("begun", id)
	err = s.SaveStats(ctx, []store.StreamStats{{Stream: id, Stats: stream.Stats{Packets: 7}, At: time.Now()}})
	if err != nil {
		return err
	}
	say("saved", id)
	if err := s.EndStream(ctx, id, "over", time.Now()); err != nil {
		return err
	}
	say("ended", id)
	return nil
}

// kills is how often two processes that write are killed; the whole run kills more often.
func kills() int {
	if os.Getenv("KRAZYCAM_LONG") != "" {
		return 20
	}
	return 2
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	first := opened(t, path)
	c := store.Customer{Name: "anna", KeyHash: store.HashKey("k"), Enabled: true}
	id, err := first.AddCustomer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	c.ID = id
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for range kills() {
		said := killedWriters(t, path, 2, 200*time.Millisecond+rand.N(300*time.Millisecond))
		s := opened(t, path)
		for _, line := range said {
			checkAcknowledged(t, s, line)
		}
		if got, err := s.CustomerByKey(t.Context(), store.HashKey("k")); err != nil || got.ID != c.ID {
			t.Errorf("the key: %+v, %v", got, err)
		}
		if _, err := s.EndExpired(t.Context(), time.Hour, "killed", time.Now().Add(time.Hour)); err != nil {
			t.Error(err)
		}
		checkIntegrity(t, path)
		acknowledged += len(said)
	}
	if acknowledged == 0 {
		t.Error("nothing was acknowledged before a kill")
	}
	t.Logf("%d kills of two processes of %d goroutines, %d changes acknowledged, all there; 0 calls failed",
		kills(), writersOfProcess, acknowledged)
}

// killedWriters runs n processes that write, kills them after a while that begins when all have written
// something, and gives what they said.
func killedWriters(t testing.TB, path string, n int, after time.Duration) (said []string) {
	t.Helper()
	var mu sync.Mutex
	var all, started sync.WaitGroup
	var running []*exec.Cmd
	for range n {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asWriter+"="+path)
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		running = append(running, cmd)
		started.Add(1)
		all.Go(func() {
			begun := sync.OnceFunc(started.Done)
			defer begun()
			r := bufio.NewReader(out)
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return // a line that the kill cut says nothing
				}
				mu.Lock()
				said = append(said, strings.TrimSpace(line))
				mu.Unlock()
				begun()
			}
		})
	}
	started.Wait()
	time.Sleep(after)
	for _, cmd := range running {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	for _, cmd := range running {
		_ = cmd.Wait() // it was killed
	}
	return said
}

// checkAcknowledged looks for one change.
func checkAcknowledged(t testing.TB, s *store.Store, line string) {
	t.Helper()
	what, id, _ := strings.Cut(line, " ")
	if what == "source" {
		if _, err := s.SourceByID(t.Context(), wire.TextID(id)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		return
	}
	one, err := s.StreamByID(t.Context(), id)
	switch {
	case what == "failed":
		t.Errorf("a call of a process that writes %s", line)
	case err != nil:
		t.Errorf("%s: %v", line, err)
	case what == "saved" && one.Stats.Packets != 7, what == "ended" && one.Because != "over":
		t.Errorf("%s: %+v", line, one)
	}
}

// A disk of its own is full for a while: what was acknowledged stays, changes fail in words, and once
// there is room everything goes on.
func TestDiskIsFullForAWhile(t *testing.T) {
	need.Root(t, "to mount a small disk")
	need.Tools(t, "mount", "umount")
	dir := t.TempDir()
	mount := exec.Command("mount", "-t", "tmpfs", "-o", "size=4m", "krazycam-test", dir)
	if out, err := mount.CombinedOutput(); err != nil {
		need.Missing(t, fmt.Sprintf("to mount a tmpfs: %v: %s", err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	path := filepath.Join(dir, "state.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.AddCustomer(t.Context(), store.Customer{Name: "anna", KeyHash: store.HashKey("k"), Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	var known []wire.ID
	ballast := filepath.Join(dir, "ballast")
	for range 2 {
		fillDisk(t, ballast)
		added, err := addUntilFull(t, s, id)
		if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "full") {
			t.Errorf("a change on a full disk: %v, want ErrUnavailable and the word full", err)
		}
		known = append(known, added...)
		checkSources(t, s, known)
		known = append(known, addWithRoom(t, s, id, ballast))
	}
	fillDisk(t, ballast)
	added, _ := addUntilFull(t, s, id)
	known = append(known, added...)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	again, err := Open(t.Context(), path) // on the full disk
	if err != nil {
		t.Fatalf("a restart on a full disk: %v", err)
	}
	checkSources(t, again, known)
	known = append(known, addWithRoom(t, again, id, ballast))
	checkSources(t, again, known)
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	checkIntegrity(t, path)
	t.Logf("%d sources were acknowledged while the disk was full three times, all there", len(known))
}

// fillDisk leaves 512 KiB.
func fillDisk(t testing.TB, ballast string) {
	t.Helper()
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<10)
	var size int64
	for {
		n, err := f.Write(block)
		if size += int64(n); err != nil {
			break
		}
	}
	if err := errors.Join(f.Truncate(size-512<<10), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func addWithRoom(t testing.TB, s *store.Store, customer int64, ballast string) wire.ID {
	t.Helper()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	one, err := s.AddSource(t.Context(), customer, store.SourceLimits{Max: 1 << 30}, time.Now())
	if err != nil {
		t.Fatalf("a change after there was room: %v", err)
	}
	return one.ID
}

func addUntilFull(t testing.TB, s *store.Store, customer int64) (known []wire.ID, err error) {
	t.Helper()
	for range 100_000 {
		one, err := s.AddSource(t.Context(), customer, store.SourceLimits{Max: 1 << 30}, time.Now())
		if err != nil {
			return known, err
		}
		known = append(known, one.ID)
	}
	t.Fatal("the disk was never full")
	return nil, nil
}

func checkSources(t testing.TB, s *store.Store, known []wire.ID) {
	t.Helper()
	for _, id := range known {
		if _, err := s.SourceByID(t.Context(), id); err != nil {
			t.Fatalf("%v: %v", id, err)
		}
	}
}
