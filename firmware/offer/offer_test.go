package offer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestOfferIsReadAsItWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offer.json")
	want := Offer{URL: "https://u.example/f.update?t=secret", Version: "v2", Now: true}
	if err := Write(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || got != want {
		t.Errorf("Read = %+v, %v, want %+v", got, err, want)
	}
	if got.Place() != "https://u.example/f.update" {
		t.Errorf("Place = %q", got.Place())
	}
	for range 2 {
		if err := Remove(path); err != nil {
			t.Error(err)
		}
	}
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of no offer: %v, want ErrNotExist", err)
	}
}

func TestWhatABoardMustNotFetchIsNeitherWrittenNorRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offer.json")
	if err := Write(path, Offer{URL: "http://u.example/f", Version: "v2"}); !errors.Is(err, wire.ErrUpdate) {
		t.Errorf("Write over http: %v, want ErrUpdate", err)
	}
	for text, want := range map[string]error{
		`{"url":"https://u:p@u.example/f","version":"v2"}`: wire.ErrUpdate,
		`{"version":"v2"}`: wire.ErrUpdate,
		`{`:                nil, `[]`: nil, strings.Repeat(" ", maxFile+1): nil,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if o, err := Read(path); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%.40s was read as %+v, %v", text, o, err)
		}
	}
}

func TestOfferIsTheSameWhateverItsQuery(t *testing.T) {
	o := Offer{URL: "https://u.example/f.update?signature=1", Version: "v2"}
	for _, c := range []struct {
		name  string
		other Offer
		want  bool
	}{
		{"itself", o, true},
		{"with another signature", Offer{URL: "https://u.example/f.update?signature=2", Version: "v2"}, true},
		{"more urgent", Offer{URL: o.URL, Version: "v2", Now: true}, true},
		{"another version", Offer{URL: o.URL, Version: "v3"}, false},
		{"another file", Offer{URL: "https://u.example/g.update?signature=1", Version: "v2"}, false},
		{"another server", Offer{URL: "https://v.example/f.update?signature=1", Version: "v2"}, false},
		{"none", Offer{}, false},
	} {
		if got := o.IsSame(c.other); got != c.want || c.other.IsSame(o) != c.want {
			t.Errorf("%s: IsSame = %t, want %t", c.name, got, c.want)
		}
	}
}

// FuzzRead: the file's writer is a user without rights, so its reader must take nothing that an offer
// may not be.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"url":"https://u.example/f.update","version":"v2","now":true}`))
	f.Add([]byte(`{"url":"https://u.example/f","version":"v2","now":5}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, "offer.json")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := Read(path)
		if err == nil && (!strings.HasPrefix(strings.ToLower(o.URL), "https://") || o.Version == "") {
			t.Errorf("%q was read as %+v", b, o)
		}
	})
}
