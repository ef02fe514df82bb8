package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/config"
)

func TestRowsBecomeSeeds(t *testing.T) {
	const common = `{"gateway": {"url": "https://a.example/api", "key": "all"}, "stream": {"fps": 10}}`
	rows, err := parseRows("boards.csv", []byte("\xef\xbb\xbfname,gateway.key,stream.fps,gateway.allowed-receivers,"+
		"update.pull\r\nlobby,\"k,1\",,\"10.0.0.0/8, cam.example\",FALSE\r\ndoor,,25,,\r\n"), []byte(common), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2 || rows[0].Name != "lobby" || rows[1].Name != "door" {
		t.Fatalf("%+v", rows)
	}
	var got []config.Config
	for _, row := range rows {
		c, err := config.ParseSeed(nil, row.Name, row.seed)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	if g := got[0]; g.Gateway.Key != "k,1" || g.Stream.FPS != 10 || g.Update.Pull ||
		strings.Join(g.Gateway.AllowedReceivers, " ") != "10.0.0.0/8 cam.example" {
		t.Errorf("lobby: %+v", g)
	}
	if g := got[1]; g.Gateway.Key != "all" || g.Stream.FPS != 25 || g.Gateway.URL != "https://a.example/api" ||
		!g.Update.Pull {
		t.Errorf("door: %+v", g)
	}
	if rows[0].sum == rows[1].sum || len(rows[0].sum) != 64 {
		t.Errorf("sums %q, %q", rows[0].sum, rows[1].sum)
	}
	// Without names, and as spreadsheets write it where numbers have commas.
	rows, err = parseRows("boards.csv", []byte("gateway.key;stream.bitrate\nk1;600k\nk2;1.2M\n"), []byte(common), nil)
	if err != nil || len(rows) != 2 || rows[1].Name != "row 2" {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestWrongRowsAreRefusedWithTheirLine(t *testing.T) {
	const withFPS = "gateway.url,gateway.key,stream.fps\n"
	const url = "gateway.url,gateway.key\nhttps://a.example/api,k1\n"
	for name, c := range map[string]struct{ table, want string }{
		"nothing":                     {"", "its first line must name the columns"},
		"a table of Excel's Unicode":  {"\xff\xfen\x00a\x00", "this is UTF-16 text"},
		"no rows":                     {"gateway.key\n", "no row below its first line"},
		"an unknown column":           {"name,gatway.key\na,b\n", `column "gatway.key" is no setting`},
		"a column twice":              {"name,name\na,b\n", "is there twice"},
		"a setting of many values":    {"camera.controls\n1\n", "give it to all cards with --seed"},
		"a cell too many":             {url + "https://b.example,k2,k3\n", "record on line 3: wrong number of fields"},
		"a setting that is wrong":     {withFPS + "https://a.example,k,many\n", ":2: stream.fps: must be a number"},
		"a setting out of its limits": {withFPS + "\nhttps://a.example,k,9999\n", ":3: stream.fps: must be"},
		"a switch that is none":       {"update.pull\nperhaps\n", ":2: update.pull: must be true or false"},
		"a board without its key":     {url + "https://b.example,\n", ":3: gateway.key: is missing"},
		"a name twice": {"name,gateway.url,gateway.key\na,https://a.example,k\na,https://b.example,k\n",
			`:3: wrong table: the name "a" is in line 2, too`},
		"a quote that does not end": {url + "\"https", "wrong table"},
	} {
		rows, err := parseRows("boards.csv", []byte(c.table), nil, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "boards.csv:") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %q in it", name, rows, err, c.want)
		}
	}
}

func TestASecretOfATableIsNotInAnError(t *testing.T) {
	_, err := parseRows("boards.csv", []byte("gateway.url,gateway.key\nhttps://a.example,ses\x01ame\n"), nil, nil)
	if err == nil || strings.Contains(err.Error(), "ame") {
		t.Errorf("%v", err)
	}
}

func TestDoneRowsAreKept(t *testing.T) {
	table := filepath.Join(t.TempDir(), "boards.csv")
	done, err := openDone(table)
	if err != nil {
		t.Fatal(err)
	}
	lobby, door := boardRow{Name: "lobby", sum: "1"}, boardRow{Name: "door", sum: "2"}
	for _, row := range []boardRow{lobby, door} {
		one := doneRow{Name: row.Name, Settings: row.sum, Seed: seedSum([]byte(row.Name)), Image: "i"}
		if err := done.add(one); err != nil {
			t.Fatal(err)
		}
	}
	again, err := openDone(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []boardRow{lobby, door} {
		if last, ok := again.last(row); !ok || last.Image != "i" {
			t.Errorf("%s: %+v, %v", row.Name, last, ok)
		}
	}
	if name, ok := again.onCard([]byte("lobby   \n\x00"), false); !ok || name != "lobby" {
		t.Errorf("the card of lobby is %q, %v", name, ok)
	}
	if _, ok := again.onCard([]byte("lobby"), true); ok || again.any(true) || !again.any(false) {
		t.Error("with --again, a card of an earlier call is not taken")
	}
	changed := boardRow{Name: "lobby", sum: "other settings"}
	if _, ok := again.last(changed); ok {
		t.Error("a row that was changed is done")
	}
	if err := again.add(doneRow{Name: "lobby", Settings: changed.sum}); err != nil {
		t.Fatal(err)
	}
	if _, ok := again.last(lobby); ok {
		t.Error("a row that was changed, written and changed back is done")
	}
	for _, text := range []string{"what\n{}\n", "{\"name\":\"lobby\"}\n{\"na"} {
		if _, err := parseDone("f", []byte(text)); err == nil {
			t.Errorf("another file is taken: %q", text)
		}
	}
}

func FuzzRows(f *testing.F) {
	f.Add([]byte("name,gateway.url,gateway.key\nlobby,https://a.example,k\n"), []byte(`{"stream":{"fps":10}}`))
	f.Add([]byte("gateway.allowed-receivers;bench.threads\n\"10.0.0.0/8,a\";1,2\n"), []byte(`{}`))
	f.Fuzz(func(t *testing.T, table, common []byte) {
		rows, err := parseRows("t", table, common, nil)
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, row := range rows {
			if names[row.Name] {
				t.Errorf("%q is there twice", row.Name)
			}
			names[row.Name] = true
			if _, err := config.ParseSeed(nil, "t", row.seed); err != nil {
				t.Errorf("%s: %v", row.Name, err)
			}
		}
	})
}

func FuzzDoneRows(f *testing.F) {
	f.Add([]byte("{\"name\":\"lobby\",\"settings\":\"1\"}\n{\"name"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if rows, err := parseDone("f", b); err == nil && len(rows) > len(b) {
			t.Errorf("%d rows", len(rows))
		}
	})
}
