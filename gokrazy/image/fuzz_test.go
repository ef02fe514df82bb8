package image

import (
	"bytes"
	"testing"

	"github.com/krazycam/krazycam/gokrazy/image/imagetest"
)

func FuzzReadProgram(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"), uint32(0))
	f.Add(imagetest.Module(imagetest.Release), uint32(40))
	whole := imagetest.Module(imagetest.Release)
	f.Fuzz(func(t *testing.T, b []byte, at uint32) {
		// Once as it is, once as a patch on a file that is right.
		patched := bytes.Clone(whole)
		copy(patched[min(int(at), len(patched)):], b)
		for _, elf := range [][]byte{b, patched} {
			if p, err := ReadProgram("p", elf); err == nil && p.Go == "" {
				t.Errorf("taken for a Go program: %+v", p)
			}
		}
	})
}
