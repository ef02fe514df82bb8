package firmware

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
	"github.com/krazycam/krazycam/firmware/offer"
)

func TestBoardSaysWhatInitAndTheMachineKnow(t *testing.T) {
	status := filepath.Join(t.TempDir(), "status.json")
	text := `{"version":"v2","index":1700000000,"board":"rpi","model":"Raspberry Pi 4 Model B Rev 1.4",
		"serial":"10000000abcdef01","hostname":"krazycam-cdef01","slot":"b","promoted":"a","on_trial":true,
		"failed":{"version":"v3","index":1800000000,"because":"no picture","at":"2026-05-01T00:00:00Z"},
		"fingerprint":"aa"}`
	if err := os.WriteFile(status, []byte(text), 0o444); err != nil {
		t.Fatal(err)
	}
	sys := fstest.MapFS{
		"class/thermal/thermal_zone0/type":   {Data: []byte("cpu-thermal\n")},
		"class/thermal/thermal_zone0/temp":   {Data: []byte("48312\n")},
		"class/hwmon/hwmon0/name":            {Data: []byte("rpi_volt\n")},
		"class/hwmon/hwmon0/in0_lcrit_alarm": {Data: []byte("1\n")},
	}
	b, err := describeBoard(status, sys, "HD Webcam /dev/video0 MJPG 640x480 30 fps")
	if err != nil || b.TemperatureC == nil || *b.TemperatureC != 48.3 || b.Undervoltage == nil || !*b.Undervoltage {
		t.Fatalf("%+v, %v", b, err)
	}
	if b.UptimeS <= 0 {
		t.Errorf("uptime %d s", b.UptimeS)
	}
	b.TemperatureC, b.Undervoltage, b.UptimeS = nil, nil, 0
	want := wire.Board{
		Serial: "10000000abcdef01", Model: "Raspberry Pi 4 Model B Rev 1.4", Board: "rpi", Version: "v2",
		Index: 1700000000, Slot: "b", Trial: true, Camera: "HD Webcam /dev/video0 MJPG 640x480 30 fps",
		FailedVersion: "v3", FailedIndex: 1800000000, FailedBecause: "no picture",
	}
	if *b != want {
		t.Errorf("%+v\nwant %+v", *b, want)
	}
}

func TestBoardWithoutInitSaysWhatItKnows(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "status.json")
	if err := os.WriteFile(broken, []byte(`{"version":`), 0o444); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		fail bool
	}{{"", false}, {filepath.Join(t.TempDir(), "status.json"), false}, {broken, true}} {
		b, err := describeBoard(c.path, fstest.MapFS{}, "pattern")
		if (err != nil) != c.fail || b.Camera != "pattern" || b.Serial != "" || b.Version != "" ||
			b.TemperatureC != nil || b.Undervoltage != nil {
			t.Errorf("%q: %+v, %v", c.path, b, err)
		}
	}
}

// offers is an offerFile and its log.
func offers(t *testing.T, path string) (*offerFile, *bytes.Buffer) {
	var log bytes.Buffer
	return &offerFile{path: path, log: slog.New(slog.NewTextHandler(&log, nil))}, &log
}

func TestOfferIsPassedOnWhenItChangesAndTakenBackWhenItEnds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offer.json")
	f, log := offers(t, path)
	u := &wire.Update{URL: "https://u.example/f.update?token=secret", Version: "v2"}
	f.take(u)
	first, err := offer.Read(path)
	if err != nil || first.URL != u.URL || first.Version != "v2" || first.Now {
		t.Fatalf("%+v, %v", first, err)
	}
	f.take(u) // as with every validate_stream
	if again, err := offer.Read(path); err != nil || again != first {
		t.Errorf("the same offer was written as %+v, %v, was %+v", again, err, first)
	}
	f.take(&wire.Update{URL: u.URL, Version: "v2", Now: true})
	if now, err := offer.Read(path); err != nil || !now.Now {
		t.Errorf("%+v, %v, want now", now, err)
	}
	f.take(nil)
	if o, err := offer.Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing is offered: %+v, %v", o, err)
	}
	f.take(nil)
	if s := log.String(); strings.Contains(s, "secret") || strings.Count(s, "\n") != 3 {
		t.Errorf("log, want three lines without the secret:\n%s", s)
	}
}

func TestOfferOfTheProcessBeforeIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offer.json")
	if err := offer.Write(path, offer.Offer{URL: "https://u.example/f", Version: "v2"}); err != nil {
		t.Fatal(err)
	}
	want := offer.Offer{URL: "https://u.example/f", Version: "v3", Now: true}
	f, _ := offers(t, path)
	f.take(&wire.Update{URL: want.URL, Version: want.Version, Now: true})
	if o, err := offer.Read(path); err != nil || o != want {
		t.Errorf("%+v, %v, want %+v", o, err, want)
	}
	f, _ = offers(t, path)
	f.take(nil)
	if o, err := offer.Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the gateway offers nothing: %+v, %v", o, err)
	}
}

func TestOfferThatCannotBeUsedIsLoggedOnceAndTakesBackTheOneBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offer.json")
	f, log := offers(t, path)
	f.take(&wire.Update{URL: "https://u.example/f", Version: "v2"})
	log.Reset()
	for range 5 {
		f.take(&wire.Update{URL: "http://u.example/f?secret", Version: "v3"})
	}
	if o, err := offer.Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%+v, %v, want none", o, err)
	}
	if s := log.String(); strings.Count(s, "is ignored") != 1 || strings.Contains(s, "secret") {
		t.Errorf("log, want one complaint without the secret:\n%s", s)
	}
}

// Each answer may have another signature in its URL: the newest counts, and the log stays as it is.
func TestOfferWhoseSecretChangesIsPassedOnWithoutALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offer.json")
	f, log := offers(t, path)
	for n := range 5 {
		u := &wire.Update{URL: fmt.Sprintf("https://u.example/f?signature=%d", n), Version: "v2"}
		f.take(u)
		if o, err := offer.Read(path); err != nil || o.URL != u.URL {
			t.Errorf("%+v, %v, want %s", o, err, u.URL)
		}
	}
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("%d lines, want 1:\n%s", got, log)
	}
}

// A folder that is not there must not hold up the session, and is no new line each minute.
func TestOfferThatCannotBeWrittenIsLoggedOnceAndTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "camsource")
	f, log := offers(t, filepath.Join(dir, "offer.json"))
	u := &wire.Update{URL: "https://u.example/f", Version: "v2"}
	f.take(u)
	f.take(u)
	if got := strings.Count(log.String(), "\n"); got != 1 {
		t.Errorf("%d lines, want 1:\n%s", got, log)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f.take(u)
	if _, err := offer.Read(f.path); err != nil {
		t.Error(err)
	}
}

// A gateway on the desk signs its own certificate; the file beside it is fetched from it, too.
func TestOfferOnTheGatewaysOwnServerBringsItsAuthority(t *testing.T) {
	path := filepath.Join(t.TempDir(), "offer.json")
	for url, want := range map[string]string{
		"https://desk.example/f.update": "PEM", "https://DESK.example:443/f.update": "PEM",
		"https://desk.example:8443/f.update": "", "https://other.example/f.update": "",
	} {
		f, _ := offers(t, path)
		f.gateway = config.Gateway{URL: "https://desk.example/api", CA: "PEM"}
		f.take(&wire.Update{URL: url, Version: "v2"})
		if o, err := offer.Read(path); err != nil || o.CA != want {
			t.Errorf("%s: authority %q, %v, want %q", url, o.CA, err, want)
		}
	}
}

func TestOfferOnAPCGoesNowhere(t *testing.T) {
	f, log := offers(t, "")
	f.take(&wire.Update{URL: "https://u.example/f", Version: "v2"})
	f.take(nil)
	if log.Len() != 0 {
		t.Errorf("log:\n%s", log)
	}
}

// From the gateway's answer to the file, and from init's file to the gateway, through all that is between.
func TestSourceSaysItsBoardAndPassesTheOfferOn(t *testing.T) {
	dir := t.TempDir()
	status := filepath.Join(dir, "status.json")
	if err := os.WriteFile(status, []byte(`{"serial":"s1","version":"v1","board":"rpi"}`), 0o444); err != nil {
		t.Fatal(err)
	}
	for _, share := range []bool{true, false} {
		var heard atomic.Pointer[wire.Board]
		d := newDeskWith(t, func(_ context.Context, _ string, b wire.Board, _ string) *wire.Update {
			heard.Store(&b)
			return &wire.Update{URL: "https://u.example/f", Version: "v2"}
		})
		s := d.source(t)
		s.Config.Gateway.ShareBoard = share
		s.StatusFile, s.OfferFile = status, filepath.Join(dir, "offer.json")
		stop := start(t, s)
		eventually(t, "the offer is in the file", 20*time.Second, func() bool {
			o, err := offer.Read(s.OfferFile)
			return err == nil && o.Version == "v2"
		})
		stop()
		want := ""
		if share {
			want = "s1"
		}
		if b := heard.Load(); b.Serial != want || (b.Camera != "") != share {
			t.Errorf("share-board %v: the gateway heard %+v", share, *b)
		}
		if err := os.Remove(s.OfferFile); err != nil {
			t.Fatal(err)
		}
	}
}
