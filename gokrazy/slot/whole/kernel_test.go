package whole

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

func release(b []byte) (string, error) { return Release(bytes.NewReader(b), int64(len(b))) }

// wholeZImage is the header of a zImage and as many bytes as it says that there are.
func wholeZImage() []byte {
	b := make([]byte, 4096)
	for at, word := range map[int]uint32{0x24: zImageMagic, 0x2c: uint32(len(b)), 0x30: zImageOrder} {
		binary.LittleEndian.PutUint32(b[at:], word)
	}
	return b
}

func TestWholeZImageDoesNotSayItsRelease(t *testing.T) {
	for name, b := range map[string][]byte{
		"as it was built":             wholeZImage(),
		"with a device tree behind":   append(wholeZImage(), "a device tree"...),
		"with a banner that is plain": append(wholeZImage(), "Linux version 6.1.0 (somebody)"...),
	} {
		if got, err := release(b); !errors.Is(err, ErrPacked) {
			t.Errorf("%s: Release = %q, %v, want %v", name, got, err, ErrPacked)
		}
	}
}

func TestDamagedZImageIsAnErrorAndNoPanic(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"cut short by a byte":    func(b []byte) []byte { return b[:len(b)-1] },
		"ends behind the header": func(b []byte) []byte { return b[:zImageHeader] },
		"ends in the header":     func(b []byte) []byte { return b[:zImageHeader-1] },
		"ends before its start":  func(b []byte) []byte { b[0x2b] = 1; return b },
		"the other order":        func(b []byte) []byte { b[0x30] = 4; return b },
	} {
		if got, err := release(change(wholeZImage())); err == nil || errors.Is(err, ErrPacked) {
			t.Errorf("%s: Release = %q, %v, want an error", name, got, err)
		}
	}
}

func FuzzRelease(f *testing.F) {
	f.Add([]byte("Linux version 6.1.0 (x)"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add(wholeZImage())
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := release(b)
		if err == nil && (got == "" || strings.ContainsAny(got, " /\n")) {
			t.Errorf("release %q", got)
		}
	})
}
