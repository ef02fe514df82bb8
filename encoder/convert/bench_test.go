package convert

import (
	"bytes"
	"image"
	"image/jpeg"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// BenchmarkJPEGBesideGo decodes the same 1280x720 JPEG with both decoders in turn,
// so that whatever else the machine does hits both. Ratio: how much slower Go's is.
func BenchmarkJPEGBesideGo(b *testing.B) {
	p := picture(1280, 720)
	draw(p)
	var file bytes.Buffer
	if err := jpeg.Encode(&file, p, &jpeg.Options{Quality: 80}); err != nil {
		b.Fatal(err)
	}
	c := open(b, layout(b, pixfmt.MJPG, 1280, 720, 0))
	beside(b, func() error { return c.Convert(p, file.Bytes()) }, func() error {
		_, err := jpeg.Decode(bytes.NewReader(file.Bytes()))
		return err
	})
}

// BenchmarkYUYVBesideGo does the same with a plain, row-wise Go loop.
func BenchmarkYUYVBesideGo(b *testing.B) {
	l := layout(b, pixfmt.YUYV, 1280, 720, 0)
	c, p, buf := open(b, l), picture(1280, 720), noise(make([]byte, l.Size))
	beside(b, func() error { return c.Convert(p, buf) }, func() error { rows(p, buf); return nil })
}

// beside runs both by turns and reports milliseconds and their ratio.
func beside(b *testing.B, ours, goes func() error) {
	var spent [2]time.Duration
	n := 0
	for b.Loop() {
		for i, f := range []func() error{ours, goes} {
			start := time.Now()
			if err := f(); err != nil {
				b.Fatal(err)
			}
			spent[i] += time.Since(start)
		}
		n++
	}
	b.ReportMetric(spent[0].Seconds()*1000/float64(n), "ours-ms/picture")
	b.ReportMetric(spent[1].Seconds()*1000/float64(n), "go-ms/picture")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
}

// draw paints something that a JPEG encoder finds neither empty nor random.
func draw(p *image.YCbCr) {
	for i := range p.Y {
		x, y := i%p.YStride, i/p.YStride
		p.Y[i] = uint8(40 + (x*y>>9+x/3)%160 + (x^y)&7)
	}
	for i := range p.Cb {
		p.Cb[i], p.Cr[i] = uint8(96+i%p.CStride/16), uint8(96+i/p.CStride/8)
	}
}

// rows turns YUYV into 4:2:0 the way one writes it in Go when speed matters.
func rows(dst *image.YCbCr, buf []byte) {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	for y := 0; y < h; y += 2 {
		a, b := buf[2*w*y:2*w*(y+1)], buf[2*w*(y+1):2*w*(y+2)]
		ya, yb := dst.Y[y*dst.YStride:][:w], dst.Y[(y+1)*dst.YStride:][:w]
		cb, cr := dst.Cb[y/2*dst.CStride:][:w/2], dst.Cr[y/2*dst.CStride:][:w/2]
		for x := range cb {
			ya[2*x], ya[2*x+1], yb[2*x], yb[2*x+1] = a[4*x], a[4*x+2], b[4*x], b[4*x+2]
			cb[x] = uint8((int(a[4*x+1]) + int(b[4*x+1]) + 1) / 2)
			cr[x] = uint8((int(a[4*x+3]) + int(b[4*x+3]) + 1) / 2)
		}
	}
}
