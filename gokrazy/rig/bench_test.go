// A board that measures itself: the unmodified image, asked by its seed, streams afterwards,
// loses its power, and prints the same result at its next start. The programs that an owner has
// read the result. What a power cut in the middle of a bench does, is shown without a VM:
// firmware/cmd/camsource/bench_process_test.go.

package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
	"github.com/krazycam/krazycam/gokrazy/vm"
	"github.com/krazycam/krazycam/v4l2/virtualcam"
)

// What the seed asks for: one size that a camera has, and small ones that make the result
// longer than the 4 KiB that a terminal's buffer takes at once.
var (
	benchSizes  = []string{"320x240", "64x48", "80x48", "96x48", "64x64", "80x64"}
	benchSpeeds = []int{-12, -16}
	benchRows   = len(benchSizes) * len(benchSpeeds)
)

// A boardBench is the board, on a card of its own, and an owner's tools.
type boardBench struct {
	dir, image        string
	camctl, camsource string
	rtp, rtcp         *net.UDPConn
	kernel            []string // what it wrote to the console
}

func newBoardBench(t *testing.T) *boardBench {
	t.Helper()
	need.Tools(t, "qemu-system-aarch64", "qemu-aarch64", "bash")
	dir := t.TempDir()
	b := &boardBench{dir: dir, image: filepath.Join(dir, "board.img"), rtp: listenUDP(t), rtcp: listenUDP(t)}
	copyImage(t, b.image, builtImage(t))
	b.camctl, b.camsource = filepath.Join(dir, "camctl"), filepath.Join(dir, "camsource")
	run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", b.camctl, "../cmd/camctl")
	run(t, nil, "go", "build", "-o", b.camsource, "../../firmware/cmd/camsource")
	return b
}

func (b *boardBench) seed(t *testing.T) []byte {
	t.Helper()
	at := func(c *net.UDPConn) string { return fmt.Sprintf("10.0.2.2:%d", c.LocalAddr().(*net.UDPAddr).Port) }
	seed, err := json.Marshal(map[string]any{
		"camera": map[string]any{"format": "MJPG"},
		"stream": map[string]any{"size": "320x240", "rtp": at(b.rtp), "rtcp": at(b.rtcp)},
		"bench": map[string]any{
			"once": true, "sizes": benchSizes, "speeds": benchSpeeds, "threads": []int{1}, "frames": 20,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

// measure starts the board for the first time, with camctl bench at its console, waits for its
// stream too, and cuts the power.
func (b *boardBench) measure(ctx context.Context, t *testing.T, out string) (progress string) {
	t.Helper()
	tool := exec.CommandContext(ctx, b.camctl, "bench", "-", "--out", out)
	var said strings.Builder
	tool.Stderr = &said
	console, err := tool.StdinPipe()
	if err == nil {
		err = tool.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := vm.Start(ctx, vm.Config{
		Image: b.image, Seed: b.seed(t), Camera: virtualcam.New(virtualcam.NewPattern()), Console: console,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := tool.Wait(); err != nil {
		t.Fatalf("camctl bench: %v\n%s", err, said.String())
	}
	t.Logf("FIGURE bench on the board: from power on (QEMU) to the result, kept by camctl bench: %.1f s",
		time.Since(m.Started()).Seconds())
	if _, err := m.WaitLine(ctx, regexp.MustCompile(`^camsource READY rtp=10\.0\.2\.2:`)); err != nil {
		t.Error(err)
	}
	packet := make([]byte, 2048)
	deadline, _ := ctx.Deadline()
	_ = b.rtp.SetReadDeadline(deadline)
	if n, _, err := b.rtp.ReadFrom(packet); err != nil || n < 13 || packet[0]>>6 != 2 || packet[1]&0x7f != 96 {
		t.Errorf("no RTP of payload type 96 after the bench: % x, %v", packet[:min(n, 12)], err)
	}
	for _, l := range m.Lines() {
		if strings.HasPrefix(l.Text, "[") {
			b.kernel = append(b.kernel, l.Text)
		}
	}
	return said.String()
}

// again is the line of camctl bench --help, with the board's second start. It must end by
// itself, and leave nothing behind.
func (b *boardBench) again(ctx context.Context, t *testing.T, out string) (progress string) {
	t.Helper()
	temp := t.TempDir()
	const pipe = `"$0" vm "$1" | "$0" bench - --out "$2"`
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", pipe, b.camctl, b.image, out)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("camctl vm | camctl bench: %v\n%s", err, said.String())
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
		t.Errorf("camctl vm left %v behind (%v)", left, err)
	}
	return said.String()
}

// spliced reads a console on which one of the kernel's lines stands at every 100th byte of
// the result.
func (b *boardBench) spliced(ctx context.Context, t *testing.T, result []byte) string {
	t.Helper()
	var line bytes.Buffer
	if err := json.Compact(&line, result); err != nil {
		t.Fatal(err)
	}
	if line.Len() < 4<<10 || len(b.kernel) < 100 {
		t.Fatalf("%d bytes of result and %d lines of the kernel are not enough", line.Len(), len(b.kernel))
	}
	var console strings.Builder
	console.WriteString("camsource BENCH ")
	for i := 0; line.Len() > 0; i++ {
		fmt.Fprintf(&console, "%s%s\r\n", line.Next(100), b.kernel[i%len(b.kernel)])
	}
	console.WriteString("\r\n")
	cmd := exec.CommandContext(ctx, b.camctl, "bench", "-")
	cmd.Stdin = strings.NewReader(console.String())
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("camctl bench at a console on which the kernel writes: %v", err)
	}
	return string(out)
}

// imageVersion is what the camsource in the image calls itself.
func (b *boardBench) imageVersion(t *testing.T) string {
	t.Helper()
	program, err := fs.ReadFile(openImage(t, b.image).root(t), "user/camsource")
	path := filepath.Join(b.dir, "camsource-of-the-image")
	if err := errors.Join(err, os.WriteFile(path, program, 0o700)); err != nil {
		t.Fatal(err)
	}
	return readBench(t, []byte(run(t, nil, "qemu-aarch64", path, "--version", "--json"))).Version
}

// A benchResult is what this test looks at.
type benchResult struct {
	Version, Model, Arch string
	Interrupted          bool
	Rows                 []struct {
		Size           struct{ Width, Height int }
		Speed, Threads int
		Frames         int
		FPS            float64
		PSNR           float64 `json:"psnr_y_db"`
	}
}

func readBench(t *testing.T, b []byte) (r benchResult) {
	t.Helper()
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// check looks at what an owner would believe.
func (r benchResult) check(t *testing.T, version string) {
	t.Helper()
	if r.Version != version || r.Version == "" || r.Model == "" || r.Model == "unknown" || r.Arch != "arm64" ||
		r.Interrupted {
		t.Errorf("result of version %q, model %q, %s, interrupted %v; want version %q, a model, arm64, whole",
			r.Version, r.Model, r.Arch, r.Interrupted, version)
	}
	if len(r.Rows) != benchRows {
		t.Fatalf("%d rows, want %d", len(r.Rows), benchRows)
	}
	for i, row := range r.Rows {
		size, speed := benchSizes[i/len(benchSpeeds)], benchSpeeds[i%len(benchSpeeds)]
		got := fmt.Sprintf("%dx%d", row.Size.Width, row.Size.Height)
		if got != size || row.Speed != speed || row.Threads != 1 || row.Frames != 20 {
			t.Errorf("row %d is %+v, want %s, speed %d, one thread, 20 pictures", i, row, size, speed)
		}
		if row.FPS <= 0 || row.PSNR < 30 || row.PSNR > 60 {
			t.Errorf("row %d: %.1f fps and %.1f dB are not plausible", i, row.FPS, row.PSNR)
		}
	}
}

func TestBoardMeasuresItselfOnceAndStreamsInVM(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	b := newBoardBench(t)
	first, second := filepath.Join(b.dir, "first.json"), filepath.Join(b.dir, "second.json")
	progress := b.measure(ctx, t, first)
	if !strings.Contains(progress, "bench: 1 of 12: 320x240 speed -12 threads 1: ") ||
		!strings.Contains(progress, "bench: 12 of 12: 80x64 speed -16 threads 1: ") ||
		!strings.Contains(progress, "\nrecommended: ") {
		t.Errorf("camctl bench said at the first start:\n%s", progress)
	}
	result, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	readBench(t, result).check(t, b.imageVersion(t))
	if s := b.again(ctx, t, second); strings.Contains(s, "bench: ") {
		t.Errorf("camctl bench said at the second start:\n%s\nwant no measurement", s)
	}
	if b, err := os.ReadFile(second); err != nil || !bytes.Equal(b, result) {
		t.Errorf("the second start printed (%v)\n%s\nwant the result of the first\n%s", err, b, result)
	}
	if s := run(t, nil, b.camsource, "bench", "--compare", first, second); strings.Count(s, "+0.00 dB") != benchRows {
		t.Errorf("camsource bench --compare printed\n%s", s)
	}
	if s := b.spliced(ctx, t, result); s != string(result) {
		t.Errorf("camctl bench read behind the kernel's lines\n%s\nwant\n%s", s, result)
	}
}
