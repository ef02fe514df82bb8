// What healthy cameras send: none of it may be refused.

package convert

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/jpeg"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/krazycam/krazycam/v4l2/pixfmt"
)

// readClip returns the JPEGs of testdata's clip of the given subsampling, 320x240, with or without
// restart markers.
func readClip(t testing.TB, subsampling, kind string) [][]byte {
	t.Helper()
	return splitClip(readTestdata(t, "face-"+subsampling+"-"+kind+".mjpeg"))
}

// clipKinds are the subsamplings and kinds of clips that testdata has.
var clipKinds = [][2]string{{"422", "plain"}, {"422", "restart"}, {"420", "plain"}, {"420", "restart"}}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func splitClip(b []byte) (all [][]byte) {
	for _, rest := range bytes.SplitAfter(b, []byte{0xff, 0xd9}) {
		if len(rest) > 0 {
			all = append(all, rest)
		}
	}
	return all
}

// scanStart is where the coded data of a JPEG begins.
func scanStart(b []byte) int {
	at := bytes.Index(b, []byte{0xff, 0xda})
	return at + 2 + int(binary.BigEndian.Uint16(b[at+2:]))
}

// insert returns b with more put in at a place.
func insert(b []byte, at int, more ...byte) []byte {
	return slices.Insert(bytes.Clone(b), at, more...)
}

// An oddity makes of a healthy JPEG one that some healthy camera would have sent in its place.
type oddity struct {
	name  string
	apply func(b []byte, r *rand.Rand) []byte
}

func fillRandom(n int, r *rand.Rand) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// padTo fills b up to a multiple of n.
func padTo(b []byte, n int, with byte) []byte {
	return append(bytes.Clone(b), bytes.Repeat([]byte{with}, (n-len(b)%n)%n)...)
}

// oddities are of the end, of the header and of the data in between. Two of one kind are not
// combined.
func oddities(stale []byte) (ends, headers, inside []oddity) {
	asItIs := func(b []byte) []byte { return b }
	withoutEnd := func(b []byte) []byte { return b[:len(b)-2] }
	padding := func(what func([]byte) []byte, n int, with byte) func([]byte, *rand.Rand) []byte {
		return func(b []byte, _ *rand.Rand) []byte { return padTo(what(b), n, with) }
	}
	ends = []oddity{
		{"as it should be", func(b []byte, r *rand.Rand) []byte { return b }},
		{"no end marker", func(b []byte, r *rand.Rand) []byte { return withoutEnd(b) }},
		{"no end marker, zeros up to 512", padding(withoutEnd, 512, 0)},
		{"no end marker, FF up to 1024", padding(withoutEnd, 1024, 0xff)},
		{"half an end marker", func(b []byte, r *rand.Rand) []byte { return b[:len(b)-1] }},
		{"zeros up to 512", padding(asItIs, 512, 0)},
		{"zeros up to 1024", padding(asItIs, 1024, 0)},
		{"zeros up to 4096", padding(asItIs, 4096, 0)},
		{"FF up to 4096", padding(asItIs, 4096, 0xff)},
		{"anything behind the end", func(b []byte, r *rand.Rand) []byte {
			return append(bytes.Clone(b), fillRandom(r.IntN(5000), r)...)
		}},
		{"the tail of a longer picture", func(b []byte, r *rand.Rand) []byte {
			return append(bytes.Clone(b), stale[len(stale)-r.IntN(len(stale)/2):]...)
		}},
		{"the next picture's start", func(b []byte, r *rand.Rand) []byte {
			return append(bytes.Clone(b), stale[:r.IntN(2000)]...)
		}},
		{"zeros before the end", func(b []byte, r *rand.Rand) []byte {
			return insert(b, len(b)-2, make([]byte, r.IntN(3000))...)
		}},
		{"FF before the end", func(b []byte, r *rand.Rand) []byte {
			return insert(b, len(b)-2, bytes.Repeat([]byte{0xff}, r.IntN(600))...)
		}},
		{"a few bytes before the end", func(b []byte, r *rand.Rand) []byte {
			return insert(b, len(b)-2, bytes.ReplaceAll(fillRandom(r.IntN(11), r), []byte{0xff}, []byte{0x12})...)
		}},
		{"two end markers", func(b []byte, r *rand.Rand) []byte { return append(bytes.Clone(b), 0xff, 0xd9) }},
	}
	segment := func(marker byte, body ...byte) func(b []byte, r *rand.Rand) []byte {
		return func(b []byte, r *rand.Rand) []byte {
			s := append([]byte{0xff, marker, byte((len(body) + 2) >> 8), byte(len(body) + 2)}, body...)
			return insert(b, 2, s...)
		}
	}
	headers = []oddity{
		{"a header as it should be", func(b []byte, r *rand.Rand) []byte { return b }},
		{"no Huffman tables", func(b []byte, r *rand.Rand) []byte { return withoutSegments(b, 0xc4) }},
		{"neither tables nor JFIF", func(b []byte, r *rand.Rand) []byte {
			return withoutSegments(withoutSegments(b, 0xc4), 0xe0)
		}},
		{"AVI1", segment(0xe0, append([]byte("AVI1"), make([]byte, 10)...)...)},
		{"an end marker in APP4", segment(0xe4, 1, 2, 0xff, 0xd9, 3)},
		{"a start marker in APP1", segment(0xe1, 'E', 'x', 0xff, 0xd8, 0xff, 0xdb, 0, 67)},
		{"a long comment", segment(0xfe, make([]byte, 3000)...)},
		{"a restart interval of 0", func(b []byte, r *rand.Rand) []byte {
			if bytes.Contains(b, []byte{0xff, 0xdd}) {
				return b
			}
			return segment(0xdd, 0, 0)(b, r)
		}},
		{"Adobe's segment", segment(0xee, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 1)},
		{"JFIF of a version to come", segment(0xe0, 'J', 'F', 'I', 'F', 0, 3, 7, 0, 0, 1, 0, 1, 0, 0)},
		{"fill bytes before each segment", fillHeader},
		{"tables one by one", splitTables},
		{"a few bytes before a segment", func(b []byte, r *rand.Rand) []byte { return insert(b, 2, 1, 2, 3, 4, 5) }},
	}
	inside = []oddity{
		{"data as it should be", func(b []byte, r *rand.Rand) []byte { return b }},
		{"fill bytes before each marker", func(b []byte, r *rand.Rand) []byte {
			return changeMarkers(b, func(m []byte) []byte { return append([]byte{0xff, 0xff}, m...) })
		}},
		{"a byte too many before each restart marker", func(b []byte, r *rand.Rand) []byte {
			return changeMarkers(b, func(m []byte) []byte { return append([]byte{0x55}, m...) })
		}},
	}
	return ends, headers, inside
}

// fillHeader puts FF before each marker of the header.
func fillHeader(b []byte, _ *rand.Rand) []byte {
	out := bytes.Clone(b[:2])
	at := 2
	for end := scanStart(b); at < end; {
		n := 2 + int(binary.BigEndian.Uint16(b[at+2:]))
		out = append(append(out, 0xff, 0xff, 0xff), b[at:at+n]...)
		at += n
	}
	return append(out, b[at:]...)
}

// splitTables gives each Huffman table a segment of its own.
func splitTables(b []byte, _ *rand.Rand) []byte {
	at := bytes.Index(b, []byte{0xff, 0xc4})
	if at < 0 {
		return b
	}
	end := at + 2 + int(binary.BigEndian.Uint16(b[at+2:]))
	out := bytes.Clone(b[:at])
	for at += 4; at < end; {
		n := 17
		for _, count := range b[at+1 : at+17] {
			n += int(count)
		}
		out = append(append(out, 0xff, 0xc4, byte((n+2)>>8), byte(n+2)), b[at:at+n]...)
		at += n
	}
	return append(out, b[end:]...)
}

// changeMarkers replaces each restart marker of the coded data.
func changeMarkers(b []byte, change func([]byte) []byte) []byte {
	start := scanStart(b)
	out := bytes.Clone(b[:start])
	for i := start; i < len(b); i++ {
		if b[i] == 0xff && i+1 < len(b) && b[i+1] >= 0xd0 && b[i+1] <= 0xd7 {
			out = append(out, change(b[i:i+2])...)
			i++
			continue
		}
		out = append(out, b[i])
	}
	return out
}

// combineOddities yields what b may look like, with the name of each; stale is another picture.
func combineOddities(b, stale []byte, r *rand.Rand) iter.Seq2[string, []byte] {
	ends, headers, inside := oddities(stale)
	return func(yield func(string, []byte) bool) {
		for _, header := range headers {
			for _, in := range inside {
				for _, end := range ends {
					odd := end.apply(in.apply(header.apply(b, r), r), r)
					if !yield(header.name+", "+in.name+", "+end.name, odd) {
						return
					}
				}
			}
		}
	}
}

func TestHealthyJPEGsWithTheOdditiesOfCamerasAreNeverRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	count := 0
	for _, kind := range clipKinds {
		c := openConverter(t, newLayout(t, pixfmt.MJPG, 320, 240, 0))
		pictures := readClip(t, kind[0], kind[1])
		want, got := newPicture(320, 240), newPicture(320, 240)
		for i, b := range pictures {
			if err := c.Convert(want, b); err != nil {
				t.Fatal(err)
			}
			for name, odd := range combineOddities(b, pictures[(i+1)%len(pictures)], r) {
				count++
				if err := c.Convert(got, odd); err != nil {
					t.Errorf("%v, %s: %v", kind, name, err)
				} else if !isSame(got, want) {
					t.Errorf("%v, %s: another picture", kind, name)
				}
			}
		}
	}
	t.Logf("FIGURE healthy JPEGs with oddities refused: 0 of %d", count)
	if count < 10_000 {
		t.Errorf("%d pictures, want 10000 at least", count)
	}
}

func isSame(a, b *image.YCbCr) bool {
	return bytes.Equal(a.Y, b.Y) && bytes.Equal(a.Cb, b.Cb) && bytes.Equal(a.Cr, b.Cr)
}

func TestJPEGsOfUsersDecode(t *testing.T) {
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 640, 480, 0))
	want, got := newPicture(640, 480), newPicture(640, 480)
	whole := readTestdata(t, "case-whole.jpg")
	if err := c.Convert(want, whole); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for name, b := range map[string][]byte{
		"restart markers":         readTestdata(t, "case-restart-markers.jpg"),
		"no Huffman tables":       readTestdata(t, "case-no-dht.jpg"),
		"no end marker":           whole[:len(whole)-2],
		"513 bytes behind it":     append(bytes.Clone(whole), fillRandom(513, r)...),
		"FF up to 4096 behind it": padTo(whole, 4096, 0xff),
		"FF FF D9":                insert(whole, len(whole)-2, 0xff),
		"a longer picture's tail": append(bytes.Clone(whole), whole[len(whole)/2:]...),
	} {
		if err := c.Convert(got, b); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if plane, x, y, ok := firstDifference(got, want); !ok {
			t.Errorf("%s: plane %s differs at %d,%d", name, plane, x, y)
		}
	}
}

func TestTwoFieldsBecomeOnePicture(t *testing.T) {
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 320, 240, 0))
	want, got := newPicture(320, 240), newPicture(320, 240)
	if err := c.Convert(want, readClip(t, "422", "plain")[0]); err != nil {
		t.Fatal(err)
	}
	both := readTestdata(t, "face-fields.jpg")
	fields := splitClip(both)
	for name, b := range map[string][]byte{
		"upper field first": both, "lower field first, as AVI1 says": swapFields(both),
		"padding between": append(append(padTo(fields[0], 4096, 0), fields[1]...), 0, 0),
		"no end markers":  slices.Concat(fields[0][:len(fields[0])-2], fields[1][:len(fields[1])-2]),
	} {
		if err := c.Convert(got, b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, p := range [][2][]byte{{got.Y, want.Y}, {got.Cb, want.Cb}, {got.Cr, want.Cr}} {
			if db := psnr(p[0], p[1]); db < 34 { // with its rows exchanged 33.7
				t.Errorf("%s: plane %d: PSNR %.1f dB to the picture, want 34 or more", name, i, db)
			}
		}
	}
	n := len(fields[0])
	for name, b := range map[string][]byte{
		"one field": fields[0], "the first field torn": slices.Delete(bytes.Clone(both), n/2, n/2+512),
		"the second field torn": slices.Delete(bytes.Clone(both), n+n/2, n+n/2+512),
	} {
		if err := c.Convert(got, b); !errors.Is(err, ErrBadJPEG) {
			t.Errorf("%s: %v, want ErrBadJPEG", name, err)
		}
	}
	users := openConverter(t, newLayout(t, pixfmt.MJPG, 640, 480, 0))
	if err := users.Convert(newPicture(640, 480), readTestdata(t, "case-two-fields.jpg")); err != nil {
		t.Errorf("a user's: %v", err)
	}
}

// swapFields puts the second field first and marks both as AVI1 does.
func swapFields(b []byte) []byte {
	fields := splitClip(b)
	mark := func(field []byte, polarity byte) []byte {
		return insert(field, 2, append([]byte{0xff, 0xe0, 0, 16, 'A', 'V', 'I', '1', polarity}, make([]byte, 9)...)...)
	}
	return append(mark(fields[1], 2), mark(fields[0], 1)...)
}

func TestSurplusRowsAndColumnsAreCutOff(t *testing.T) {
	want := newPicture(320, 240)
	b := readClip(t, "422", "plain")[0]
	if err := openConverter(t, newLayout(t, pixfmt.MJPG, 320, 240, 0)).Convert(want, b); err != nil {
		t.Fatal(err)
	}
	for _, size := range []image.Point{{320, 232}, {318, 240}, {310, 226}, {306, 240}} {
		got := newPicture(size.X, size.Y)
		if err := openConverter(t, newLayout(t, pixfmt.MJPG, size.X, size.Y, 0)).Convert(got, b); err != nil {
			t.Errorf("320x240 where %v was agreed: %v", size, err)
			continue
		}
		for y := range size.Y {
			if !bytes.Equal(got.Y[y*got.YStride:][:size.X], want.Y[y*want.YStride:][:size.X]) {
				t.Errorf("%v: luma differs in row %d", size, y)
				break
			}
		}
	}
	for _, size := range []image.Point{{320, 224}, {304, 240}, {322, 240}, {320, 242}} {
		err := openConverter(t, newLayout(t, pixfmt.MJPG, size.X, size.Y, 0)).Convert(newPicture(size.X, size.Y), b)
		if !errors.Is(err, ErrBadJPEG) {
			t.Errorf("320x240 where %v was agreed: %v, want ErrBadJPEG", size, err)
		}
	}
}

// Contents at which values are the largest that there are.
func TestExtremePicturesAreNotTakenForTornOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	contents := map[string]func(x, y int) byte{
		"noise":          func(x, y int) byte { return byte(r.Uint32()) },
		"black":          func(x, y int) byte { return 0 },
		"white":          func(x, y int) byte { return 255 },
		"a board":        func(x, y int) byte { return byte(255 * ((x + y) % 2)) },
		"a large board":  func(x, y int) byte { return byte(255 * ((x/8 + y/8) % 2)) },
		"bars":           func(x, y int) byte { return byte(255 * (x % 2)) },
		"lines":          func(x, y int) byte { return byte(255 * (y % 2)) },
		"black or white": func(x, y int) byte { return byte(255 * r.IntN(2)) },
	}
	got := newPicture(96, 64)
	c := openConverter(t, newLayout(t, pixfmt.MJPG, 96, 64, 0))
	for name, pixel := range contents {
		p := newPicture(96, 64)
		for _, plane := range [][]byte{p.Y, p.Cb, p.Cr} {
			for i := range plane {
				plane[i] = pixel(i%96, i/96)
			}
		}
		for quality := 1; quality <= 100; quality++ {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, p, &jpeg.Options{Quality: quality}); err != nil {
				t.Fatal(err)
			}
			if err := c.Convert(got, b.Bytes()); err != nil {
				t.Errorf("%s, quality %d: %v", name, quality, err)
			}
		}
	}
}
