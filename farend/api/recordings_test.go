package api

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/krazycam/krazycam/farend/history"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/farend/webm"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func newLibrary(t *testing.T) *webm.Library {
	t.Helper()
	l, err := webm.Open(webm.Config{Dir: t.TempDir(), FreeBytes: -1, FreeShare: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(t.Context()) })
	return l
}

// record makes a recording of one frame and gives its name.
func record(t *testing.T, l *webm.Library, customer int64, source wire.ID) string {
	t.Helper()
	r := l.Record(webm.Source{Customer: customer, ID: source})
	frame := stream.Frame{Bytes: bytes.Repeat([]byte{0x10, 2, 0, 0x9d, 1, 0x2a}, 100), Key: true,
		Width: 320, Height: 240, At: time.Now()}
	r.TakeFrame(frame)
	r.Close()
	for range 1000 {
		if list := l.List(customer, source); len(list) > 0 && !list[len(list)-1].Active {
			return list[len(list)-1].Name
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("no recording within 10 s")
	return ""
}

func TestRecordingIsListedDownloadedAndRemoved(t *testing.T) {
	library := newLibrary(t)
	b := newBench(t, func(c *Config) { c.Recordings = library })
	c := b.addCustomer("Farm")
	source, _ := b.addStream(c.ID)
	name := record(t, library, c.ID, source.ID)
	path := "/sources/" + source.ID.String() + "/recordings"
	var list page[webm.Recording]
	b.want(200, c.Key, "GET", path, "").into(t, &list)
	if len(list.Items) != 1 || list.Items[0].Name != name || list.Items[0].Width != 320 {
		t.Fatalf("recordings %+v, want %s", list, name)
	}
	whole := b.want(200, c.Key, "GET", path+"/"+name, "")
	if int64(len(whole.body)) != list.Items[0].Bytes || !bytes.HasPrefix(whole.body, []byte{0x1a, 0x45, 0xdf, 0xa3}) ||
		!strings.Contains(whole.header.Get("Content-Disposition"), name) {
		t.Errorf("%d bytes %v, want the file of %d", len(whole.body), whole.header, list.Items[0].Bytes)
	}
	part := b.want(206, c.Key, "GET", path+"/"+name, "", "Range", "bytes=4-9")
	if !bytes.Equal(part.body, whole.body[4:10]) {
		t.Errorf("a range has %x, want %x", part.body, whole.body[4:10])
	}
	b.problem(416, "range", c.Key, "GET", path+"/"+name, "", "Range", "bytes=99999999-")
	for _, other := range []string{"none.webm", "%2e%2e%2fsecret", name + "x"} {
		if got := b.ask(c.Key, "GET", path+"/"+other, ""); got.status != 404 {
			t.Errorf("%s: %d %s, want 404", other, got.status, got.body)
		}
	}
	b.want(204, b.admin, "DELETE", path+"/"+name, "")
	b.problem(404, "not-found", b.admin, "DELETE", path+"/"+name, "")
	writing := library.Record(webm.Source{Customer: c.ID, ID: source.ID})
	defer writing.Close()
	writing.TakeFrame(stream.Frame{Bytes: make([]byte, 100), Key: true, Width: 320, Height: 240, At: time.Now()})
	for range 1000 {
		if list := library.List(c.ID, source.ID); len(list) == 1 && list[0].Active {
			b.problem(409, "active", c.Key, "DELETE", path+"/"+list[0].Name, "")
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("nothing is written within 10 s")
}

func TestServerWithoutRecordingsSaysSo(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	source, _ := b.addStream(c.ID)
	p := b.problem(404, "not-recorded", c.Key, "GET", "/sources/"+source.ID.String()+"/recordings", "")
	if !strings.Contains(p.Detail, "record.folder") {
		t.Errorf("%s: want the setting", p.Detail)
	}
}

func TestRunIsAFileOfALineASecond(t *testing.T) {
	b := newBench(t)
	c := b.addCustomer("Farm")
	source, id := b.addStream(c.ID)
	_, other := b.addStream(c.ID)
	const seconds = history.RowsMax + 50
	for range seconds {
		b.history.Sample(b.clock())
		b.advance(time.Second)
	}
	read := func(path string) [][]string {
		t.Helper()
		lines, err := csv.NewReader(bytes.NewReader(b.want(200, c.Key, "GET", path, "").body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return lines
	}
	lines := read("/streams/" + id + ".csv")
	first, last := start.Add((seconds-history.RowsMax)*time.Second), start.Add((seconds-1)*time.Second)
	const form = "2006-01-02T15:04:05.000Z"
	if len(lines) != 1+history.RowsMax || lines[0][3] != "time" || lines[1][0] != id ||
		lines[1][1] != source.ID.String() || lines[1][3] != first.Format(form) || lines[600][3] != last.Format(form) {
		t.Fatalf("%d lines, %v to %v", len(lines), lines[1], lines[len(lines)-1])
	}
	if all := read("/streams.csv"); len(all) != 1+2*history.RowsMax {
		t.Errorf("all streams have %d lines, want %d", len(all), 1+2*history.RowsMax)
	}
	end := stream.Stats{State: stream.StateStreaming, Packets: 4711}
	if err := b.store.SaveStats(t.Context(), []store.StreamStats{{Stream: id, Stats: end, At: last}}); err != nil {
		t.Fatal(err)
	}
	if err := b.store.EndStream(t.Context(), id, "test", last); err != nil {
		t.Fatal(err)
	}
	lines = read("/streams/" + id + ".csv")
	final := lines[len(lines)-1]
	if len(lines) != 2+history.RowsMax || final[4] != history.StateEnded || final[14] != "4711" {
		t.Errorf("after the end: %d lines, the last %v, want what was counted in all", len(lines), final)
	}
	if all := read("/streams.csv"); len(all) != 1+history.RowsMax || all[1][0] != other {
		t.Errorf("%d lines of the stream that runs, want %d", len(all), 1+history.RowsMax)
	}
}

func TestCellsOfCSVAreNeitherFormulasNorBroken(t *testing.T) {
	for cell, want := range map[string]string{"": "", "a": "a", "=1+1": "'=1+1", "@x": "'@x", "a,b": `"a,b"`,
		`a"b`: `"a""b"`, "a\nb": "\"a\nb\"", "-1": "'-1"} {
		if got := string(appendCell(nil, cell)); got != want {
			t.Errorf("%q is written as %s, want %s", cell, got, want)
		}
	}
}
