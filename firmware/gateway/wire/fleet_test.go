package wire

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func ptr[T any](v T) *T { return &v }

func TestBoardIsWrittenAsTheProtocolHasIt(t *testing.T) {
	b := Board{
		Serial: "10000000abcdef01", Model: "Raspberry Pi 4 Model B Rev 1.4", Version: "v2", Slot: "b",
		Camera: "HD Webcam", UptimeS: 3600, TemperatureC: ptr(48.3), Undervoltage: ptr(false),
		FailedVersion: "v3", FailedIndex: 300, FailedBecause: "no picture within 60 s",
	}
	want := `{"action":"validate_stream","utilization_id":7,"board":{"serial":"10000000abcdef01",` +
		`"model":"Raspberry Pi 4 Model B Rev 1.4","version":"v2","slot":"b","camera":"HD Webcam",` +
		`"uptime_s":3600,"temperature_c":48.3,"undervoltage":false,` +
		`"failed_version":"v3","failed_index":300,"failed_because":"no picture within 60 s"}}`
	r := Request{Action: ActionValidateStream, Utilization: ID{"7"}, Board: &b}
	got, err := json.Marshal(r)
	if err != nil || string(got) != want {
		t.Errorf("%s, %v, want\n%s", got, err, want)
	}
	var back Request
	if err := json.Unmarshal(got, &back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("read as %+v, %v", back.Board, err)
	}
	if got, err := json.Marshal(Request{Action: "x"}); err != nil || strings.Contains(string(got), "board") {
		t.Errorf("without facts: %s, %v, want no board", got, err)
	}
}

func TestBoardIsReadLiberally(t *testing.T) {
	for text, want := range map[string]Board{
		`{}`: {}, `null`: {}, `5`: {}, `"rpi"`: {}, `[{"serial":"a"}]`: {},
		`{"serial":12,"version":["v"],"slot":null,"index":"170","uptime_s":1.5e3,"failed_index":"7"}`: {Serial: "12",
			Index: 170, UptimeS: 1500, FailedIndex: 7},
		`{"temperature_c":"-3.26","undervoltage":1,"trial":"true"}`: {TemperatureC: ptr(-3.3),
			Undervoltage: ptr(true), Trial: true},
		`{"temperature_c":1e300,"uptime_s":-1,"index":-5,"failed_index":-5,"undervoltage":null}`: {},
		`{"model":"a\nlevel=ERROR b"}`: {Model: "a level=ERROR b"},
	} {
		var got Board
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s was read as %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestBoardOfEndlessTextIsCut(t *testing.T) {
	long := strings.Repeat("ä", 5000)
	b := Board{Serial: long, Model: long, Board: long, Version: long, Slot: long, Camera: long,
		FailedVersion: long, FailedBecause: long}
	text, err := json.Marshal(b.Limited())
	if err != nil || len(text) > 2<<10 {
		t.Errorf("%d bytes, %v, want fewer than 2 KiB", len(text), err)
	}
	var back Board
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, b.Limited()) {
		t.Errorf("read as %+v, %v", back, err)
	}
}

func TestUpdateIsReadLiberallyAndCheckedStrictly(t *testing.T) {
	const good = "https://updates.example/krazycam-v2-rpi.update"
	for _, c := range []struct {
		name, text string
		want       Update
		usable     bool
	}{
		{"as the protocol has it", `{"url":"` + good + `","version":"v2"}`, Update{URL: good, Version: "v2"}, true},
		{"at once", `{"url":"` + good + `","version":2,"now":1}`, Update{URL: good, Version: "2", Now: true}, true},
		{"blanks around it", `{"url":" ` + good + `\n","version":" v2 "}`, Update{URL: good, Version: "v2"}, true},
		{"no object", `"` + good + `"`, Update{}, false},
		{"no version", `{"url":"` + good + `"}`, Update{URL: good}, false},
		{"no url", `{"version":"v2"}`, Update{Version: "v2"}, false},
	} {
		var a Answer
		if err := json.Unmarshal([]byte(`{"update":`+c.text+`}`), &a); err != nil || a.Update == nil {
			t.Errorf("%s: %+v, %v", c.name, a.Update, err)
			continue
		}
		err := a.Update.Check()
		if *a.Update != c.want || (err == nil) != c.usable || err != nil && !errors.Is(err, ErrUpdate) {
			t.Errorf("%s: %+v, %v, want %+v, usable %v", c.name, *a.Update, err, c.want, c.usable)
		}
	}
	var a Answer
	if err := json.Unmarshal([]byte(`{"update":null}`), &a); err != nil || a.Update != nil {
		t.Errorf("null is %+v, %v, want no offer", a.Update, err)
	}
}

func TestUpdateThatABoardMustNotFetchIsRefusedWithoutItsSecrets(t *testing.T) {
	for _, url := range []string{
		"", "http://u.example/f?token=secret", "ftp://u.example/secret", "file:///etc/secret", "//u.example/secret",
		"https:///secret", "https:secret", "https://user:secret@u.example/f", "https://u.example/secret\x00",
		"https://u.example/secret f", "https://u.example\\secret", "https://[secret", "https://u.example/%zzsecret",
		"https://u.example/secret" + strings.Repeat("x", maxUpdateURL), "https://u.example/secret\u202e",
	} {
		err := Update{URL: url, Version: "v2"}.Check()
		if !errors.Is(err, ErrUpdate) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.60q: %v, want ErrUpdate without what stands in the URL", url, err)
		}
	}
	for _, version := range []string{"", "v 2", "../v2", `v\2`, "v2\n", strings.Repeat("v", maxUpdateVersion+1)} {
		if err := (Update{URL: "https://u.example/f", Version: version}).Check(); !errors.Is(err, ErrUpdate) {
			t.Errorf("version %.70q: %v, want ErrUpdate", version, err)
		}
	}
	u := Update{URL: "https://u.example/f.update?token=secret#secret", Version: "v2"}
	if got := u.Place(); u.Check() != nil || got != "https://u.example/f.update" {
		t.Errorf("Place = %q, Check = %v", got, u.Check())
	}
}

// FuzzUpdate: whatever a gateway writes as its offer, a board takes an https URL with a host or nothing,
// and reads its own file back as it wrote it.
func FuzzUpdate(f *testing.F) {
	for _, seed := range []string{
		`{"url":"https://u.example/f.update","version":"v2","now":true}`, `{"url":["x"],"version":{}}`, `7`,
		`{"url":"HTTPS://[::1]:443/%2e%2e/f","version":"v2-3-gabc"}`, `{"url":"https://a@b/","version":"v"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var a Answer
		if json.Unmarshal([]byte(`{"update":`+string(b)+`}`), &a) != nil || a.Update == nil {
			return
		}
		err := a.Update.Check()
		if err != nil {
			if s := err.Error(); Printable(s) != s && len(s) < maxPrintable {
				t.Errorf("%q cannot be printed", s)
			}
			return
		}
		if !strings.HasPrefix(strings.ToLower(a.Update.URL), "https://") || len(a.Update.Version) > maxUpdateVersion {
			t.Errorf("taken: %+v", *a.Update)
		}
		text, err := json.Marshal(a.Update)
		var back Update
		if err != nil || json.Unmarshal(text, &back) != nil || back != *a.Update {
			t.Errorf("%+v was read back as %+v, %v", *a.Update, back, err)
		}
	})
}

// FuzzBoard: whatever a source says of itself is short, printable and can be written down.
func FuzzBoard(f *testing.F) {
	for _, seed := range []string{
		`{"serial":"10000000abcdef01","temperature_c":48.3,"undervoltage":true,"uptime_s":5}`,
		`{"serial":{"a":[]},"index":9e99,"temperature_c":"nan","version":"\u0000\ud800"}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var board Board
		if err := board.UnmarshalJSON(b); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(board)
		var back Board
		if err != nil || len(text) > 4<<10 || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, board) {
			t.Errorf("%s: %d bytes, %v, read back as %+v", text, len(text), err, back)
		}
	})
}
