// The owner's rate on the wire, over any 2 s: the real encoder and the real controller in front of
// a Sender, in fake time.

package rtpsend

import (
	"cmp"
	"image"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krazycam/krazycam/encoder"
	"github.com/krazycam/krazycam/firmware/ratecontrol"
	"github.com/pion/rtcp"
)

// A wireTap is an RTP socket that notes when how many bytes leave, with IP and UDP headers.
type wireTap struct {
	discard
	now    func() time.Duration
	at     []time.Duration
	size   []int
	number []uint16
}

func (w *wireTap) Write(b []byte) (int, error) {
	w.at, w.size = append(w.at, w.now()), append(w.size, len(b)+20+8)
	w.number = append(w.number, uint16(b[2])<<8|uint16(b[3]))
	return len(b), nil
}

// most is the highest rate over any span, in bit/s.
func (w *wireTap) most(span time.Duration) float64 {
	most, sum, from := 0, 0, 0
	for i := range w.at {
		sum += w.size[i]
		for w.at[from] <= w.at[i]-span {
			sum -= w.size[from]
			from++
		}
		most = max(most, sum)
	}
	return 8 * float64(most) / span.Seconds()
}

func (w *wireTap) mean(length time.Duration) float64 {
	sum := 0
	for _, n := range w.size {
		sum += n
	}
	return 8 * float64(sum) / length.Seconds()
}

// A scene paints picture n.
type scene func(p *image.YCbCr, n int, rng *rand.Rand)

// paintMotion is a texture that slides.
func paintMotion(p *image.YCbCr, n int, _ *rand.Rand) { paintTexture(p, uint32(7), 2*n, 3) }

// paintNoise has nothing to predict.
func paintNoise(p *image.YCbCr, _ int, rng *rand.Rand) {
	for i := range p.Y {
		p.Y[i] = byte(rng.Uint32())
	}
}

// paintCuts shows another texture every 0.7 s.
func paintCuts(p *image.YCbCr, n int, _ *rand.Rand) { paintTexture(p, uint32(n/21)*977+1, n, 15) }

// paintPauses stands still for 4 s and moves for 3.
func paintPauses(p *image.YCbCr, n int, _ *rand.Rand) {
	moved := n/210*90 + max(0, n%210-120)
	paintTexture(p, 5, 5*moved, 7)
}

// paintTexture paints blobs of noise that are moved by some pixels.
func paintTexture(p *image.YCbCr, seed uint32, moved int, contrast int) {
	w, h := p.Rect.Dx(), p.Rect.Dy()
	for y := range h {
		for x := range w {
			cell := uint32((x+moved)/6)*2654435761 ^ uint32(y/6)*40503 ^ seed*2246822519
			fine := (uint32(x+moved)*747796405 ^ uint32(y)*2891336453 ^ seed) * 277803737
			p.Y[y*p.YStride+x] = byte(60 + int(cell>>13&127) + int(fine>>28)*contrast/8)
		}
	}
}

// A trial is one stream over a path that loses packets, and what its camera and receiver do.
type trial struct {
	name      string
	rate      int
	fps       int
	size      image.Point
	scene     scene
	leavesOut func(n int, rng *rand.Rand) bool
	loss      float64       // of packets, asked for again
	pli       time.Duration // between requests for key frames; 0: none
	stall     time.Duration // of the camera, every 7 s
	jitter    time.Duration // of capture times
	jump      bool          // capture times jump back and forth by minutes
	estimate  bool          // the receiver's estimate goes up and down
	length    time.Duration // 0: 15 s
	least     int           // frames that must leave
}

// An outcome is what a trial came to.
type outcome struct {
	mean, most    float64 // bit/s on the wire; most over any 2 s
	frames, held  int
	skipped       int
	bytes, psnr   float64 // of a frame
	resends, keys int
}

// A playing is a trial under way.
type playing struct {
	*rig
	trial
	tap          *wireTap
	path         *controlledPath
	enc          *encoder.Encoder
	rng          *rand.Rand
	picture      *image.YCbCr
	frozen, last time.Duration // as in the pipeline: the encoder's clock stands still while pictures are held
	heard        int           // packets that the receiver has seen or missed
	nextPLI      time.Duration
	outcome
}

// play runs a trial in fake time.
func (tr trial) play(t *testing.T, seed uint64, length time.Duration) outcome {
	r := playing{trial: tr, rng: rand.New(rand.NewPCG(seed, 99)), nextPLI: tr.pli,
		path:    &controlledPath{ratecontrol.New(tr.rate)},
		picture: image.NewYCbCr(image.Rectangle{Max: tr.size}, image.YCbCrSubsampleRatio420)}
	r.rig = newRigWith(t, Config{Bandwidth: tr.rate, Ceiling: NewCeiling(tr.rate), Path: r.path})
	r.tap = &wireTap{now: r.cfg.Monotonic}
	r.wire.conn = r.tap
	var err error
	if r.enc, err = encoder.New(encoder.Config{Width: tr.size.X, Height: tr.size.Y, FPS: tr.fps,
		Bitrate: encoder.Bitrate(tr.rate), Speed: -12}); err != nil {
		t.Fatal(err)
	}
	defer r.enc.Close()
	begin, stalled := r.cfg.Monotonic(), time.Duration(0)
	for n := 0; ; n++ {
		if tr.stall > 0 && n%(7*tr.fps) == 7*tr.fps-1 {
			stalled += tr.stall
		}
		passed := time.Duration(n)*time.Second/time.Duration(tr.fps) + stalled
		if passed > length {
			break
		}
		time.Sleep(begin + passed + time.Duration(r.rng.Int64N(int64(tr.jitter)+1)) - r.cfg.Monotonic())
		synctest.Wait()
		r.hearReceiver(t, passed, n)
		if tr.leavesOut == nil || !tr.leavesOut(n, r.rng) {
			r.takePicture(t, n)
		}
	}
	r.resends = int(r.Stats().Resends.Sent)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.mean, r.most = r.tap.mean(length), r.tap.most(2*time.Second)
	r.bytes /= float64(r.frames)
	r.psnr /= float64(r.frames)
	return r.outcome
}

// hearReceiver lets the receiver say what it has to say before picture n.
func (r *playing) hearReceiver(t *testing.T, passed time.Duration, n int) {
	if r.loss > 0 {
		r.loseSome(t)
	}
	if r.pli > 0 && passed >= r.nextPLI {
		r.nextPLI += r.pli
		r.feed(t, &rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: testSSRC})
		synctest.Wait()
	}
	if r.estimate && n%(2*r.fps) == 0 {
		r.path.NoteEstimate(r.cfg.Monotonic(), float64(r.rate)*(0.3+1.2*r.rng.Float64()))
	}
}

// takePicture does with picture n what the pipeline does.
func (r *playing) takePicture(t *testing.T, n int) {
	now := r.cfg.Monotonic()
	at := now
	if r.jump {
		at += time.Duration(n/45%3) * time.Minute
	}
	bitrate, hold := r.path.Advise(now)
	r.SetRate(bitrate)
	hold = hold || r.MustHold()
	if hold {
		r.held++
		r.frozen += max(0, at-r.last)
	}
	r.last = at
	if hold {
		return
	}
	if err := r.enc.SetBitrate(max(encoder.Bitrate(bitrate), encoder.MinBitrate)); err != nil {
		t.Fatal(err)
	}
	r.scene(r.picture, n, r.rng)
	f, err := r.enc.Encode(r.picture, at-r.frozen, r.KeyFrameWanted())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Bytes) == 0 {
		r.skipped++
		return
	}
	psnr, err := r.enc.MeasurePSNR(r.picture)
	if err != nil {
		t.Fatal(err)
	}
	if f.Key {
		r.keys++
	}
	r.frames++
	r.bytes += float64(len(f.Bytes))
	r.psnr += psnr
	if err := r.Send(f.Bytes, f.Key, at); err != nil {
		t.Fatal(err)
	}
}

// loseSome asks for some of the packets that left since.
func (r *playing) loseSome(t *testing.T) {
	var missing []rtcp.NackPair
	r.sending.Lock()
	for ; r.heard < len(r.tap.number); r.heard++ {
		if r.rng.Float64() < r.loss && len(missing) < 20 {
			missing = append(missing, rtcp.NackPair{PacketID: r.tap.number[r.heard]})
		}
	}
	r.sending.Unlock()
	if len(missing) > 0 {
		r.feed(t, &rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: testSSRC, Nacks: missing})
		synctest.Wait()
	}
}

// A controlledPath is the rate controller as the Sender's Path.
type controlledPath struct{ *ratecontrol.Controller }

func (p *controlledPath) NoteReport(now time.Duration, loss float64, newest time.Duration, inFlight int,
	acked uint64) {
	p.Controller.NoteReport(now, ratecontrol.Report{Loss: loss, Newest: newest, InFlight: inFlight, Acked: acked})
}

func (p *controlledPath) NoteEcho(now, sent time.Duration, before uint64, inFlight int) {
	p.Controller.NoteEcho(now, ratecontrol.Echo{Sent: sent, Before: before, InFlight: inFlight})
}

// trials are all habits of cameras, receivers and paths, with every scene.
func trials() (all []trial) {
	random := func(share float64) func(int, *rand.Rand) bool {
		return func(_ int, rng *rand.Rand) bool { return rng.Float64() < share }
	}
	habits := []trial{
		{name: "every picture"},
		{name: "a key frame asked for each 0.3 s", pli: 300 * time.Millisecond},
		{name: "a key frame asked for each 1.5 s", pli: 1500 * time.Millisecond},
		{name: "10 % left out at random", leavesOut: random(0.1)},
		{name: "50 % left out at random", leavesOut: random(0.5)},
		{name: "every second left out", leavesOut: func(n int, _ *rand.Rand) bool { return n%2 == 1 }},
		{name: "half of each second left out", leavesOut: func(n int, _ *rand.Rand) bool { return n%30 < 15 }},
		{name: "stalls of 3 s, then a key frame", stall: 3 * time.Second, pli: 5 * time.Second},
		{name: "clock jumps", jump: true},
		{name: "5 % lost", loss: 0.05},
		{name: "20 % lost, key frames", loss: 0.2, pli: time.Second},
		{name: "estimates up and down, jitter", estimate: true, jitter: 20 * time.Millisecond},
	}
	for _, s := range []struct {
		name  string
		paint scene
	}{{"motion", paintMotion}, {"cuts", paintCuts}, {"pauses", paintPauses}, {"noise", paintNoise}} {
		for _, tr := range habits {
			tr.name, tr.scene = s.name+", "+tr.name, s.paint
			tr.rate, tr.fps, tr.size = 300_000, 30, image.Pt(320, 240)
			all = append(all, tr)
		}
	}
	return append(all,
		trial{name: "20 kbit/s", rate: 20_000, fps: 30, size: image.Pt(160, 120), scene: paintCuts,
			pli: time.Second},
		trial{name: "2 Mbit/s, 5 pictures a second", rate: 2_000_000, fps: 5, size: image.Pt(640, 480),
			scene: paintCuts, pli: time.Second},
		// Of these, three mean frames are more than may leave in 2 s.
		trial{name: "1 picture a second", rate: 300_000, fps: 1, size: image.Pt(320, 240), scene: paintNoise,
			pli: 30 * time.Second, length: 3 * time.Minute, least: 80},
		trial{name: "every eighth of 5 pictures a second", rate: 300_000, fps: 5, size: image.Pt(320, 240),
			scene: paintNoise, leavesOut: func(n int, _ *rand.Rand) bool { return n%8 != 0 },
			pli: 30 * time.Second, length: 4 * time.Minute, least: 100})
}

func TestFrameLargerThanQueueAndCeilingLosesItsOldestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{Ceiling: NewCeiling(600_000)})
		tap := &wireTap{now: r.cfg.Monotonic}
		r.wire.conn = tap
		r.frame(t, true, 3_000_000)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if most := tap.most(2 * time.Second); most > 630_000 {
			t.Errorf("%.0f bit/s over 2 s, want at most 630000", most)
		}
		if r.Stats().Discarded == 0 || !r.KeyFrameWanted() {
			t.Errorf("%d packets discarded, and no key frame wanted in their place", r.Stats().Discarded)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Some of its packets are discarded, or leave, before the last is queued: they are of its size all the same.
func TestMeanSizeOfFramesCountsWhatLeftBeforeAFrameWasQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{Ceiling: NewCeiling(600_000)})
		const size = 3_000_000
		before := r.ceiling.mean
		r.frame(t, false, size)
		if want := before + (size-before)/frameMemory; r.ceiling.mean < want {
			t.Errorf("a mean of %.0f bytes after a frame of %d, want at least %.0f", r.ceiling.mean, size, want)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A gateway may end a stream and grant the next one at once, again and again.
func TestStreamsOneAfterTheOtherShareTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		tap := &wireTap{now: func() time.Duration { return time.Since(begin) }}
		shared := NewCeiling(600_000)
		for range 30 {
			r := newRigWith(t, Config{Ceiling: shared})
			r.start = begin // one clock for all of them
			r.wire.conn = tap
			r.frame(t, true, 50_000)
			time.Sleep(300 * time.Millisecond)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if most := tap.most(2 * time.Second); most > 630_000 || most < 570_000 {
			t.Errorf("%.0f bit/s over 2 s, want at most 630000, and what fits", most)
		}
	})
}

// What waits when a stream ends does not leave above the owner's rate either.
func TestCloseKeepsTheCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigWith(t, Config{Ceiling: NewCeiling(600_000)})
		tap := &wireTap{now: r.cfg.Monotonic}
		r.wire.conn = tap
		r.frame(t, true, 400_000)
		time.Sleep(100 * time.Millisecond)
		if !r.MustHold() {
			t.Error("a picture is to be encoded while 400 kB wait for 600 kbit/s")
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if most := tap.most(2 * time.Second); most > 630_000 || most < 500_000 {
			t.Errorf("%.0f bit/s over 2 s, want at most 630000, and what fits", most)
		}
	})
}

func TestNeverAboveTheOwnersRateOverTwoSeconds(t *testing.T) {
	for _, tr := range trials() {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := tr.play(t, 1, cmp.Or(tr.length, 15*time.Second))
				t.Logf("FIGURE %-48s mean %4.0f, most over 2 s %4.0f of %d kbit/s; "+
					"%3d frames of %5.0f bytes, %.2f dB; %d held, %d skipped, %d keys, %d resends",
					tr.name, o.mean/1000, o.most/1000, tr.rate/1000,
					o.frames, o.bytes, o.psnr, o.held, o.skipped, o.keys, o.resends)
				if o.most > 1.05*float64(tr.rate) {
					t.Errorf("%.0f bit/s over 2 s, want at most %.0f", o.most, 1.05*float64(tr.rate))
				}
				if o.frames < tr.least {
					t.Errorf("%d frames in %v, want at least %d", o.frames, tr.length, tr.least)
				}
			})
		})
	}
}
