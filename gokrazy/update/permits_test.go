package update

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestPermits(t *testing.T) {
	by := newSigner(t)
	factory := newVersion(t, by, testIndex).manifest
	at := func(change int64) Manifest { return newVersion(t, by, testIndex+change).manifest }
	old, now := at(1), at(2)
	differs := at(1)
	differs.Parts[0].Size++
	for _, c := range []struct {
		name     string
		m        Manifest
		promoted Manifest
		layout   int
		other    *Manifest
		want     error
		words    string
	}{
		{"a newer one", at(3), now, 1, &old, nil, ""},
		{"the first after the factory's", at(1), factory, 1, nil, nil, ""},
		{"anything after a slot without a manifest", factory, Manifest{}, 1, nil, nil, ""},
		{"an older one", factory, now, 1, &old, ErrOlder, "its index is 1790000000, that of version v2 is 1790000002"},
		{"exactly what the other slot holds", old, now, 1, &old, nil, ""},
		{"the same index as the other slot's, but not it", differs, now, 1, &old, ErrOlder, "v1"},
		{"what the other slot would hold if it were whole", old, now, 1, nil, ErrOlder, ""},
		{"the running one", now, now, 1, &old, ErrAlready, "version v2: this board runs it already"},
		{"another one of the same index", differs, old, 1, nil, ErrOlder, ""},
		{"one for a larger layout", at(3), now, 0, nil, ErrLayout, "flash the card"},
		{"one for a smaller layout", at(3), now, 7, nil, nil, ""},
	} {
		err := c.m.Permits(c.promoted, "rpi", c.layout, c.other)
		if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: Permits = %v, want %v (%s)", c.name, err, c.want, c.words)
		}
	}
	if err := at(3).Permits(now, "bbb", 1, nil); !errors.Is(err, ErrBoard) ||
		!strings.Contains(err.Error(), "made for another board: rpi, this is bbb") {
		t.Errorf("Permits for another board = %v, want %v", err, ErrBoard)
	}
}

// A board takes versions one after the other, as its owner changes keys and a thief has the old
// one. What is refused leaves the spool as it was.
func TestRotationAndReplay(t *testing.T) {
	first, second, stranger := newSigner(t), newSigner(t), newSigner(t)
	v0 := newVersion(t, first, testIndex, first.public)
	v1 := newVersion(t, first, testIndex+1, first.public)
	v2 := newVersion(t, first, testIndex+2, second.public) // the old key hands over
	v3 := newVersion(t, second, testIndex+3, second.public)
	stolen := newVersion(t, first, testIndex+4, first.public)
	foreign := newVersion(t, stranger, testIndex+4, stranger.public)
	resigned := v1
	resigned.sig = second.sign(t, v1.raw)

	promoted, other := v0.manifest, (*Manifest)(nil)
	s, _ := newSpool(t)
	offer := func(v version) error {
		t.Helper()
		keys, err := TrustedKeys(promoted, []string{stranger.public}) // the manifest's keys come first
		if err != nil {
			t.Fatal(err)
		}
		before, _, _ := s.Manifest()
		_, err = s.Take(bytes.NewReader(v.bundle(t)), HashesOf(promoted), 0, check(promoted, other, keys...))
		if after, _, _ := s.Manifest(); err != nil && !bytes.Equal(before, after) {
			t.Errorf("%s was refused and changed the spool", v.manifest.Version)
		}
		return err
	}
	promote := func(v version) {
		was := promoted
		promoted, other = v.manifest, &was
	}
	for _, c := range []struct {
		name string
		v    version
		want error
		then bool // promoted
	}{
		{"an update", v1, nil, true},
		{"a stranger's", foreign, ErrSignature, false},
		{"the same again", v1, ErrAlready, false},
		{"what the other slot holds", v0, nil, false},
		{"one that brings the next key", v2, nil, true},
		{"the other slot's, by the old key", v1, ErrSignature, false},
		{"the other slot's, by the new key", resigned, nil, false},
		{"a replayed one", v0, ErrSignature, false},
		{"a newer one by the old key", stolen, ErrSignature, false},
		{"one by the new key", v3, nil, true},
		{"the other slot's again", v2, ErrSignature, false},
		{"a version between, by the new key", resigned, ErrOlder, false},
		{"still the stolen key's", stolen, ErrSignature, false},
	} {
		if err := offer(c.v); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if c.then {
			promote(c.v)
		}
	}
}

func TestTrustedKeys(t *testing.T) {
	m := Manifest{Keys: []string{"a"}}
	for _, c := range []struct {
		m          Manifest
		configured []string
		want       string
	}{{m, nil, "a"}, {m, []string{"b"}, "a"}, {Manifest{}, []string{"b", "c"}, "b c"}} {
		if got, err := TrustedKeys(c.m, c.configured); err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("TrustedKeys(%v, %v) = %v, %v, want %s", c.m.Keys, c.configured, got, err, c.want)
		}
	}
	if _, err := TrustedKeys(Manifest{}, nil); !errors.Is(err, ErrNoKey) {
		t.Errorf("TrustedKeys of nothing = %v, want %v", err, ErrNoKey)
	}
}
