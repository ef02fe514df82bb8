package control

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/firmware/openfile"
)

func TestReadStatusGivesWhatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status.json")
	want := Status{
		Version: "v1.2.0", Index: 1767225600, Board: "rpi", Model: "Raspberry Pi 4 Model B Rev 1.4",
		Serial: "10000000abcdef01", Hostname: "krazycam-cdef01", Slot: "b", Promoted: "a", OnTrial: true,
		Trial: &Trial{Slot: "b", Version: "v1.2.0", Index: 1767225600, State: StateOnTrial, Tries: 1,
			RungBefore: "reported", NeedS: 60},
		Failed: &Failed{"v1.1.9", 7, "camsource ended 5 times", time.Unix(1767225600, 0).UTC()},
		Rung:   "sent", UptimeS: 12.5, BootCause: "restart", Perm: "ok", LeftBehind: []string{"stream.new"},
	}
	for range 2 { // the second replaces the first
		if err := WriteStatus(path, want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := ReadStatus(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadStatus = %+v, %v, want %+v", got, err, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o444 {
		t.Errorf("mode = %v, %v, want one that everybody can read", info.Mode(), err)
	}
}

func TestReadStatusRefusesWhatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status.json")
	if _, err := ReadStatus(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v, want %v", err, fs.ErrNotExist)
	}
	for content, want := range map[string]error{
		`{"version":`:                    nil,
		strings.Repeat(" ", maxStatus+1): openfile.ErrTooLong,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadStatus(path); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%.20q…: %v, want an error", content, err)
		}
	}
}
