package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// row at 640x480 unless changed: a picture takes ms, p99 is twice that.
func row(ms, psnr float64, change ...func(*Row)) Row {
	r := Row{Size: Size{640, 480}, Format: "YUYV", Speed: -12, Threads: 1, FPS: 1000 / ms,
		CPU: CPU{Encode: ms, All: ms}, Latency: Latency{ms, 1.5 * ms}, Kbit: 600, PSNR: psnr}
	for _, f := range change {
		f(&r)
	}
	return r
}

func hd(r *Row)    { r.Size = Size{1280, 720} }
func qvga(r *Row)  { r.Size = Size{320, 240} }
func slow(r *Row)  { r.Speed = -4 }
func two(r *Row)   { r.Threads = 2; r.CPU.All *= 1.7 }
func spiky(r *Row) { r.Latency.P99 = 40 }

func TestRecommendationIsTheLargestSizeWithHeadroom(t *testing.T) {
	cases := []struct {
		name string
		rows []Row
		want *Row
	}{
		{"nothing keeps up", []Row{row(40, 40), row(25, 40, qvga)}, nil},
		{"the larger size if there is headroom", []Row{row(5, 40), row(19, 40, hd)}, ptr(row(19, 40, hd))},
		{"the smaller size if there is none", []Row{row(5, 40), row(21, 40, hd)}, ptr(row(5, 40))},
		{"not what is late now and then", []Row{row(5, 40, qvga), row(19, 40, spiky)}, ptr(row(5, 40, qvga))},
		{"the cheaper one if the picture is the same", []Row{row(8, 40.1, slow), row(5, 40)}, ptr(row(5, 40))},
		{"the better picture if it is worth it", []Row{row(8, 40.5, slow), row(5, 40)}, ptr(row(8, 40.5, slow))},
		{"one thread if two only burn more", []Row{row(4, 40, two), row(5, 40)}, ptr(row(5, 40))},
	}
	for _, c := range cases {
		if diff := cmp.Diff(c.want, recommend(c.rows, 30)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func ptr(r Row) *Row { return &r }

func TestResultFileComesBackAndCompares(t *testing.T) {
	dir := t.TempDir()
	a := Report{Model: "board", Input: "pattern", FPS: 30}
	a.addRow(row(5, 40))
	a.addRow(row(8, 40.1, slow))
	a.End = Machine{}
	path := filepath.Join(dir, "a.json")
	if err := a.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b := Report{Model: "board", Input: "another", FPS: 30, Rows: []Row{row(4, 40.5)}}
	var out strings.Builder
	if err := Compare(&out, a, b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"another input: pattern, then another", "1.25x", "0.80x", "+0.50 dB"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("comparison lacks %q:\n%s", want, out.String())
		}
	}
	if err := Compare(&out, a, Report{Rows: []Row{row(1, 1, hd)}}); err == nil {
		t.Error("nothing in common: no error")
	}
	for _, text := range []string{"", "{}", "[]", "null", `{"rows": 5}`} {
		if _, err := Load(file(t, text)); err == nil {
			t.Errorf("Load of %q: no error", text)
		}
	}
}

func TestTableSaysWhatToUse(t *testing.T) {
	r := Report{Model: "board", Input: "pattern", FPS: 30}
	r.addRow(row(5, 40))
	var out strings.Builder
	if err := r.Print(&out); err != nil {
		t.Fatal(err)
	}
	want := "recommended: 640x480 at 30 fps, speed -12, threads 1: a picture takes 15 % of its time, p99 22 %"
	if !strings.Contains(out.String(), want) {
		t.Errorf("table lacks %q:\n%s", want, out.String())
	}
	r = Report{FPS: 30}
	r.addRow(row(40, 40))
	want = "recommended: nothing here keeps up with 30 fps; 640x480 speed -12 threads 1 would with 15"
	if got := r.advice(); got != want {
		t.Errorf("advice = %q, want %q", got, want)
	}
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
