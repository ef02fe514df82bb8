// A browser that plays recordings.

package webm

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/need"
)

// played is what a browser says of a file. The times are in seconds.
type played struct {
	Error    string
	Duration float64
	Seeks    []seek
	Frames   int     // that were decoded
	Ended    float64 // where it stood at its end
	Width    int
}

type seek struct {
	To, At float64
	Colour int // of the picture, summed up: 0 is black
}

// player plays a file, seeks in it, plays it to its end, and says what it found. Nobody looks at it.
const player = `<!doctype html><video id=v muted></video><script>
const v = document.getElementById('v'), r = {Error: '', Duration: 0, Seeks: [], Frames: 0, Ended: 0, Width: 0}
const next = name => new Promise((yes, no) => {
	v.addEventListener(name, yes, {once: true})
	v.addEventListener('error', () => no(v.error.message), {once: true})
})
async function run() {
	v.src = new URLSearchParams(location.search).get('file')
	await next('loadeddata')
	r.Duration = v.duration
	r.Width = v.videoWidth
	const canvas = document.createElement('canvas'), draw = canvas.getContext('2d')
	canvas.width = v.videoWidth
	canvas.height = v.videoHeight
	for (const share of [0.9, 0.2, 0.6]) {
		const to = share * v.duration
		const done = next('seeked')
		v.currentTime = to
		await done
		let colour = 0
		for (let i = 0; i < 100 && colour == 0; i++) { // the picture may be shown a moment after the event
			draw.drawImage(v, 0, 0)
			const data = draw.getImageData(0, 0, canvas.width, canvas.height).data
			colour = data.reduce((sum, c, i) => i % 4 == 3 ? sum : sum + c, 0)
			if (colour == 0) await new Promise(yes => setTimeout(yes, 100))
		}
		r.Seeks.push({To: to, At: v.currentTime, Colour: colour})
	}
	const done = next('seeked')
	v.currentTime = 0
	await done
	const before = v.getVideoPlaybackQuality().totalVideoFrames
	const ended = next('ended')
	v.playbackRate = 2
	await v.play()
	await ended
	r.Ended = v.currentTime
	r.Frames = v.getVideoPlaybackQuality().totalVideoFrames - before
}
run().catch(e => { r.Error = String(e) }).finally(() => fetch('/played', {method: 'POST', body: JSON.stringify(r)}))
</script>`

// playInChromium has a headless Chromium play a file.
func playInChromium(t *testing.T, path string) played {
	t.Helper()
	need.Tools(t, "chromium")
	found := make(chan played, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, player)
	})
	mux.HandleFunc("GET /file.webm", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	mux.HandleFunc("POST /played", func(_ http.ResponseWriter, r *http.Request) {
		var p played
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			p.Error = err.Error()
		}
		select {
		case found <- p:
		default:
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	profile, err := os.MkdirTemp("", "krazycam-chromium")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--autoplay-policy=no-user-gesture-required", "--user-data-dir="+profile,
		server.URL+"/?"+url.Values{"file": {"file.webm"}}.Encode())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it then ends its own processes
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var p played
	select {
	case p = <-found:
	case <-ctx.Done():
		p.Error = "nothing was played in 2 minutes"
	}
	cancel()
	_ = cmd.Wait() // by a signal
	await(t, "Chromium's processes let go of its profile", func() bool { return os.RemoveAll(profile) == nil })
	return p
}

func TestChromiumPlaysAndSeeksAlsoWhatAKillLeft(t *testing.T) {
	need.Tools(t, "chromium")
	clip := makeClip(t)
	frames, err := readClip(clip)
	if err != nil {
		t.Fatal(err)
	}
	l := openLibrary(t, Config{})
	r := l.Record(yard())
	newSource(frames, r).feed(150)
	closeLibrary(t, l)
	killed := t.TempDir()
	killChild(t, killed, clip, 400*time.Millisecond)
	k := openLibrary(t, Config{Dir: killed})
	closeLibrary(t, k)
	left := pathsOf(k, yard())
	for name, path := range map[string]string{
		"an ended file": pathsOf(l, yard())[0], "what a kill left": left[len(left)-1],
	} {
		want := probe(t, path)
		p := playInChromium(t, path)
		n := len(want.times)
		if p.Error != "" || p.Width != 320 || !near(p.Duration, want.duration) || len(p.Seeks) != 3 ||
			!near(p.Ended, want.duration) {
			t.Errorf("%s of %d frames and %v s: Chromium has %+v", name, n, want.duration, p)
		}
		for _, s := range p.Seeks {
			if !near(s.At, s.To) || s.Colour == 0 {
				t.Errorf("%s: a seek to %v s shows %d at %v s", name, s.To, s.Colour, s.At)
			}
		}
		if p.Frames < n/3 { // a slow machine leaves some out
			t.Errorf("%s: %d frames of %d were decoded", name, p.Frames, n)
		}
		t.Logf("FIGURE WebM, %s of %d frames and %v s: Chromium reads %v s, seeks to %+v, decodes %d frames", name, n,
			want.duration, p.Duration, p.Seeks, p.Frames)
	}
}

// near: within a frame, about.
func near(a, b float64) bool { return a-b < 0.05 && b-a < 0.05 }
