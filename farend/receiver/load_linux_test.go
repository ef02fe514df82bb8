// What many streams cost: a process of its own sends real VP8 to this one and, in the same run, to
// Debian's Janus. KRAZYCAM_LONG=1 plays 1, 10, 50 and 100 streams; KRAZYCAM_PLOT names a folder for the plot.

package receiver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/farend/stream"
)

// A loadResult is one run. CPU is of one core, 0 to 1.
type loadResult struct {
	streams             int
	cpu, janusCPU       float64
	memory, janusMemory float64 // bytes a stream
	lost                int64
	drops               uint64
}

// playLoad has so many streams come for a while; janus nil: to us alone.
func playLoad(
	t *testing.T, c Config, clip string, streams int, length time.Duration, janus *janusProcess,
) loadResult {
	t.Helper()
	c.Host, c.CamerasMax = "127.0.0.1", streams
	c.Sinks = func(stream.Grant) []stream.Sink { return []stream.Sink{&quietSink{}} }
	s, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := contextWithStop(t)
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	debug.FreeOSMemory()
	before := residentBytes(t, os.Getpid())
	plan := loadPlan{Clip: clip, Seconds: length.Seconds()}
	for i := range streams {
		place, err := s.Begin(t.Context(), stream.Grant{ID: strconv.Itoa(i), SSRC: loadSSRC(i)})
		if err != nil {
			t.Fatal(err)
		}
		to := [][2]int{{place.RTPPort, place.RTCPPort}}
		if janus != nil {
			to = append(to, janus.ports(t, i))
		}
		plan.To = append(plan.To, to)
	}
	r := loadResult{streams: streams}
	sent := runLoad(t, plan, func() { // while it runs, from its first second on
		cpu, janusCPU, began := ownCPU(t), 0.0, time.Now()
		if janus != nil {
			janusCPU = janus.cpu(t)
		}
		time.Sleep(length - 2*time.Second)
		took := time.Since(began).Seconds()
		r.cpu = (ownCPU(t) - cpu) / took
		r.memory = max(0, residentBytes(t, os.Getpid())-before) / float64(streams)
		if janus != nil {
			r.janusCPU = (janus.cpu(t) - janusCPU) / took
			r.janusMemory = max(0, residentBytes(t, janus.Process.Pid)-janus.resident) / float64(streams)
		}
	})
	var came uint64
	for deadline := time.Now().Add(10 * time.Second); came < sent && time.Now().Before(deadline); {
		came = 0
		for _, one := range s.AllStats(nil) {
			came += one.Stats.Packets
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.lost, r.drops = int64(sent)-int64(came), s.Totals().KernelDrops
	for _, one := range s.AllStats(nil) {
		if st := one.Stats; st.Lost != 0 || st.LostFrames != 0 || st.Damaged != 0 || st.Frames == 0 || st.Foreign != 0 {
			t.Errorf("stream %s: %+v", one.ID, st)
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return r
}

func TestManyStreamsLoseNothingAndNeedLittleMemory(t *testing.T) {
	need.Tools(t, "ffmpeg", "janus")
	clip := makeLoadClip(t)
	counts, length := []int{20}, 5*time.Second
	if long {
		counts, length = []int{1, 10, 50, 100}, 30*time.Second
	}
	var all []loadResult
	for _, n := range counts {
		janus := startJanus(t)
		r := playLoad(t, Config{}, clip, n, length, janus)
		janus.stop()
		all = append(all, r)
		t.Logf("FIGURE %d streams of 300 kbit/s on one pair of ports: %.1f %% of a core (%.2f %% a stream), "+
			"%.0f KB a stream, %d packets lost, %d dropped by the kernel; "+
			"Janus without viewers: %.1f %% (%.2f %%), %.0f KB",
			n, r.cpu*100, r.cpu*100/float64(n), r.memory/1024, r.lost, r.drops,
			r.janusCPU*100, r.janusCPU*100/float64(n), r.janusMemory/1024)
		if r.lost != 0 {
			t.Errorf("%d streams: %d packets lost, %d of them by the kernel", n, r.lost, r.drops)
		}
		if n >= 20 && r.memory > 2<<20 {
			t.Errorf("%d streams: %.0f bytes of memory each, want under 2 MB", n, r.memory)
		}
		if aim := 0.4 / 50; n >= 20 && r.cpu > max(aim*float64(n), 2*r.janusCPU) { // a busy machine makes both dearer
			t.Errorf("%d streams: %.3f of a core, want %.3f, or what Janus takes (%.3f) twice",
				n, r.cpu, aim*float64(n), r.janusCPU)
		}
	}
	if long {
		r := playLoad(t, Config{First: 24000, Last: 24199}, clip, 50, length, nil)
		t.Logf("FIGURE 50 streams of 300 kbit/s on a pair of ports each: %.1f %% of a core, %.0f KB a stream, "+
			"%d packets lost", r.cpu*100, r.memory/1024, r.lost)
		if r.lost != 0 {
			t.Errorf("%d packets lost", r.lost)
		}
	}
	if folder := os.Getenv("KRAZYCAM_PLOT"); folder != "" {
		if err := os.WriteFile(filepath.Join(folder, "receiver-load.svg"), plotLoad(all), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// ownCPU is what this process used, in seconds of a core.
func ownCPU(t *testing.T) float64 {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func residentBytes(t *testing.T, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(b))[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * float64(os.Getpagesize())
}

// runLoad runs the sender, a process of its own, and during in the meantime. It gives the packets sent to
// each destination.
func runLoad(t *testing.T, p loadPlan, during func()) (packets uint64) {
	t.Helper()
	plan, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSendLoad$")
	cmd.Env = append(os.Environ(), loadVariable+"="+string(plan))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // the first key frames are no measure
	during()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the sender: %v\n%s", err, out.String())
	}
	line, _, _ := strings.Cut(out.String(), "\n")
	if packets, err = strconv.ParseUint(line, 10, 64); err != nil {
		t.Fatalf("the sender said %q", out.String())
	}
	return packets
}

func loadSSRC(i int) uint32 { return 0x1000 + uint32(i) }

var loopback = netip.MustParseAddr("127.0.0.1")
