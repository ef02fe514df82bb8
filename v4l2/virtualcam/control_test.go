package virtualcam

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

func TestConfigurationDescriptorIsWellFormed(t *testing.T) {
	for _, c := range []struct {
		name           string
		sizes          []Size
		formats, views int
		isochronous    bool
	}{
		{"all sizes", []Size{{640, 480}, {320, 240}, {1280, 720}}, 2, 2 + 3, false},
		{"isochronous", []Size{{640, 480}, {320, 240}, {1280, 720}}, 2, 2 + 3, true},
		{"too large for YUYV", []Size{{1280, 720}}, 1, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := configurationDescriptor(c.sizes, c.isochronous, packetSize)
			if total := int(binary.LittleEndian.Uint16(b[2:])); total != len(b) {
				t.Errorf("wTotalLength = %d, want %d", total, len(b))
			}
			formats, views := 0, 0
			for rest := b; len(rest) > 0; rest = rest[rest[0]:] {
				if rest[0] < 2 || int(rest[0]) > len(rest) {
					t.Fatalf("descriptor at %d has length %d of %d", len(b)-len(rest), rest[0], len(rest))
				}
				switch {
				case rest[1] != 0x24:
				case rest[0] == 27 && rest[2] == 4, rest[0] == 11 && rest[2] == 6:
					formats++
				case rest[0] == 38 && (rest[2] == 5 || rest[2] == 7):
					views++
				}
			}
			if formats != c.formats || views != c.views {
				t.Errorf("%d formats with %d sizes, want %d with %d", formats, views, c.formats, c.views)
			}
		})
	}
}

func TestProbeSettlesOnWhatTheCameraCanDo(t *testing.T) {
	all := []Size{{640, 480}, {320, 240}, {1280, 720}}
	for _, c := range []struct {
		name     string
		format   byte
		frame    byte
		interval uint32
		want     pixfmt.FourCC
		size     Size
		rate     time.Duration
	}{
		{"nothing asked", 0, 0, 0, pixfmt.MJPG, all[0], 33_333_300},
		{"YUYV at 10 a second", formatYUYV, 2, 1_000_000, pixfmt.YUYV, all[1], 100 * time.Millisecond},
		{"MJPG 1280x720", formatMJPG, 3, 333_333, pixfmt.MJPG, all[2], 33_333_300},
		{"YUYV has no third size", formatYUYV, 3, 333_333, pixfmt.YUYV, all[0], 33_333_300},
		{"20 a second become 15", formatMJPG, 1, 500_000, pixfmt.MJPG, all[0], 66_666_600},
		{"slower than the slowest", formatMJPG, 1, 5_000_000, pixfmt.MJPG, all[0], 100 * time.Millisecond},
		{"unknown format and size", 9, 200, 1, pixfmt.MJPG, all[0], 33_333_300},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := probe{2: c.format, 3: c.frame}
			binary.LittleEndian.PutUint32(p[4:], c.interval)
			p.settleFields(all)
			if p.pixelFormat() != c.want || p.pictureSize(all) != c.size || p.interval() != c.rate {
				t.Errorf("settled on %v %v every %v, want %v %v every %v", p.pixelFormat(), p.pictureSize(all),
					p.interval(),
					c.want, c.size, c.rate)
			}
			if got := int(binary.LittleEndian.Uint32(p[18:])); got != c.size.Width*c.size.Height*2 {
				t.Errorf("most bytes of a picture = %d, want %d", got, c.size.Width*c.size.Height*2)
			}
		})
	}
}

func TestControlAnswers(t *testing.T) {
	c := New(&script{})
	for _, r := range []struct {
		name string
		s    setup
		want int // bytes, -1 for a stall
	}{
		{"device descriptor", setup{fromDevice, reqDescriptor, descDevice << 8, 0, 64}, 18},
		{"descriptor cut to what the host takes", setup{fromDevice, reqDescriptor, descConfiguration << 8, 0, 9}, 9},
		{"languages", setup{fromDevice, reqDescriptor, descString << 8, 0, 255}, 4},
		{"product", setup{fromDevice, reqDescriptor, descString<<8 | 2, 0x409, 255}, 2 + 2*len("Virtual UVC")},
		{"string that is not there", setup{fromDevice, reqDescriptor, descString<<8 | 9, 0x409, 255}, -1},
		{"device qualifier", setup{fromDevice, reqDescriptor, 6 << 8, 0, 10}, -1},
		{"status", setup{fromDevice, reqStatus, 0, 0, 2}, 2},
		{"clear halt", setup{2, 1, 0, videoEndpoint, 0}, 0},
		{"length of the probe", setup{classFromIface, uvcGetLen, selectProbe << 8, streamingInterface, 2}, 2},
		{"present probe", setup{classFromIface, uvcGetCur, selectProbe << 8, streamingInterface, 26}, 26},
		{"smallest steps", setup{classFromIface, uvcGetRes, selectProbe << 8, streamingInterface, 26}, 26},
		{"may be read and written", setup{classFromIface, uvcGetInfo, selectProbe << 8, streamingInterface, 1}, 1},
		{"a control it has not", setup{classFromIface, uvcGetCur, 7 << 8, streamingInterface, 26}, -1},
		{"a request it knows not", setup{classFromIface, 0x90, selectProbe << 8, streamingInterface, 26}, -1},
	} {
		t.Run(r.name, func(t *testing.T) {
			b, ok := c.handleSetup(r.s, nil, time.Unix(1, 0))
			if ok != (r.want >= 0) || ok && len(b) != r.want {
				t.Errorf("control = %d bytes, %v, want %d", len(b), ok, r.want)
			}
		})
	}
}

func TestCommitStartsTheStream(t *testing.T) {
	c := New(&script{size: 10})
	now := time.Unix(50, 0)
	if _, ok := c.handleSetup(setup{classToIface, uvcSetCur, selectCommit << 8, streamingInterface, 26},
		[]byte{0, 0, formatYUYV, 2}, now); !ok {
		t.Fatal("commit was refused")
	}
	if c.probe.pixelFormat() != pixfmt.YUYV || !c.stream.isDue(now) {
		t.Errorf("format %v, due %v, want YUYV, due at once", c.probe.pixelFormat(), c.stream.isDue(now))
	}
}
