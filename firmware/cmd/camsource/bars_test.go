// Colour bars with a stamp above them: a clip whose colours can be read back from what a
// browser shows.

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"testing"
	"time"

	"github.com/krazycam/krazycam/v4l2/virtualcam/stamp"
)

const (
	barsWidth, barsHeight, barsPictures = 640, 480, 30

	barWidth   = barsWidth / 8 // eight areas in a row
	graysBegin = 288           // row: colours above, grays below
)

// bar is the colour at a place below the stamp: bars of 75 %, below them grays from black
// to white.
func bar(x, y int) color.RGBA {
	n := x / barWidth
	if y >= graysBegin {
		v := uint8(n * 255 / 7)
		return color.RGBA{v, v, v, 255}
	}
	const on = 191 // 75 %
	return color.RGBA{on * uint8(^n>>1&1), on * uint8(^n>>2&1), on * uint8(^n&1), 255}
}

// limited is what a camera makes of a colour: ITU-R BT.601, luma 16 to 235, chroma 16 to 240.
func limited(c color.RGBA) (y, cb, cr byte) {
	full := func(b uint8, span, base, zero int) byte {
		return byte(base + ((int(b)-zero)*span+sign(int(b)-zero)*127)/255)
	}
	fy, fcb, fcr := color.RGBToYCbCr(c.R, c.G, c.B) // JPEG's: the same matrix, full range
	return full(fy, 219, 16, 0), full(fcb, 224, 128, 128), full(fcr, 224, 128, 128)
}

func abs(n int) int { return n * sign(n) }

func sign(n int) int {
	if n < 0 {
		return -1
	}
	return 1
}

// writeBars makes a clip of a second.
func writeBars(t *testing.T, path string) {
	t.Helper()
	planes := image.NewYCbCr(image.Rect(0, 0, barsWidth, barsHeight), image.YCbCrSubsampleRatio420)
	for y := range barsHeight {
		for x := range barsWidth {
			luma, cb, cr := limited(bar(x, y))
			c := planes.COffset(x, y)
			planes.Y[planes.YOffset(x, y)], planes.Cb[c], planes.Cr[c] = luma, cb, cr
		}
	}
	for i := range planes.COffset(0, stamp.Height) { // gray under the stamp
		planes.Cb[i], planes.Cr[i] = 128, 128
	}
	file := bytes.NewBufferString(fmt.Sprintf("YUV4MPEG2 W%d H%d F30:1 C420jpeg\n", barsWidth, barsHeight))
	for n := range barsPictures {
		stamp.New(uint32(n), time.Unix(0, 0)).Draw(planes.Y, planes.YStride, 1)
		file.WriteString("FRAME\n")
		for _, plane := range [][]byte{planes.Y, planes.Cb, planes.Cr} {
			file.Write(plane)
		}
	}
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// misreadings are the ways to show what limited made that are common and wrong.
var misreadings = []struct {
	name string
	show func(y, cb, cr byte) color.RGBA
}{
	{"BT.709", func(y, cb, cr byte) color.RGBA {
		luma, u, v := float64(int(y)-16)*255/219, float64(int(cb)-128), float64(int(cr)-128)
		fit := func(v float64) uint8 { return uint8(min(max(v+0.5, 0), 255)) }
		return color.RGBA{fit(luma + 1.793*v), fit(luma - 0.213*u - 0.533*v), fit(luma + 2.112*u), 255}
	}},
	{"full range", func(y, cb, cr byte) color.RGBA {
		r, g, b := color.YCbCrToRGB(y, cb, cr)
		return color.RGBA{r, g, b, 255}
	}},
}

// checkBars compares a PNG with what was sent: a stamp that is whole, and the middle of
// each area in its colour. At a low rate VP8 may cost a colour ten steps of 255, so the
// wrong readings are told by being farther off.
func checkBars(t *testing.T, what string, encoded []byte) {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(encoded))
	if err != nil || picture.Bounds() != image.Rect(0, 0, barsWidth, barsHeight) {
		t.Fatalf("%s: %v, %v, want a PNG of %dx%d", what, picture, err, barsWidth, barsHeight)
	}
	luma := image.NewGray(picture.Bounds())
	for y := range stamp.Height {
		for x := range stamp.Width {
			luma.Set(x, y, picture.At(x, y))
		}
	}
	if s, ok := stamp.Read(luma.Pix, luma.Stride, 1); !ok || s.Number >= barsPictures {
		t.Errorf("%s: stamp %+v, %v, want one of %d", what, s, ok, barsPictures)
	}
	off, misread := 0.0, make([]float64, len(misreadings)) // means of all areas and colours
	for _, row := range []image.Rectangle{
		image.Rect(0, stamp.Height, barsWidth, graysBegin),
		image.Rect(0, graysBegin, barsWidth, barsHeight),
	} {
		for x := 0; x < barsWidth; x += barWidth {
			area := image.Rect(x, row.Min.Y, x+barWidth, row.Max.Y).Inset(20)
			sent, got := bar(area.Min.X, area.Min.Y), mean(picture, area)
			off += distance(got, sent) / 16
			for i, r := range misreadings {
				misread[i] += distance(got, r.show(limited(sent))) / 16
			}
		}
	}
	for i, r := range misreadings {
		if off > 8 || misread[i] <= off {
			t.Errorf("%s: colours are %.1f of 255 off, %.1f if it were shown as %s", what, off, misread[i], r.name)
		}
	}
	t.Logf("FIGURE Chromium through Janus: colours as sent (BT.601, limited range) within %.1f of 255, "+
		"a picture of 2 Mbit/s", off)
}

// distance is the mean of the three colours' differences.
func distance(got [3]int, want color.RGBA) float64 {
	return float64(abs(got[0]-int(want.R))+abs(got[1]-int(want.G))+abs(got[2]-int(want.B))) / 3
}

// mean is the mean colour of an area.
func mean(picture image.Image, area image.Rectangle) (rgb [3]int) {
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			c := color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)
			rgb[0], rgb[1], rgb[2] = rgb[0]+int(c.R), rgb[1]+int(c.G), rgb[2]+int(c.B)
		}
	}
	n := area.Dx() * area.Dy()
	return [3]int{(rgb[0] + n/2) / n, (rgb[1] + n/2) / n, (rgb[2] + n/2) / n}
}
