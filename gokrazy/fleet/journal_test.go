package fleet

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var v2 = Update{Version: "v2", Board: "rpi", Index: 200}

// A power cut may leave any part of what was written last.
func TestJournalIsReadAfterACutAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	j, err := openJournal(path, v2)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, step := range []Step{Begun, Taken, Promoted} {
		if err := j.note(Row{Host: "a.example", Step: step, At: at}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(path, v2)
		if err != nil {
			t.Fatalf("cut after %d bytes: %v", n, err)
		}
		want := map[int]Step{2: Begun, 3: Taken, 4: Promoted}[strings.Count(string(whole[:n]), "\n")]
		if got := j.rows["a.example"].Step; got != want {
			t.Errorf("cut after %d bytes: %q, want %q", n, got, want)
		}
		if err := j.note(Row{Host: "b.example", Step: Begun, At: at}); err != nil {
			t.Fatal(err)
		}
		_ = j.close()
		again, err := openJournal(path, v2)
		if err != nil || again.rows["b.example"].Step != Begun || again.rows["a.example"].Step != want {
			t.Errorf("cut after %d bytes, then written: %+v, %v", n, again, err)
		}
		_ = again.close()
	}
}

func TestJournalThatIsNoneIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	for _, text := range []string{
		"camera1\ncamera2\n", `{"format":7}` + "\n", `{"format":1,"version":"v2","board":"rpi","index":200}` + "\n{}\n",
		`{"format":1,"version":"v2","board":"rpi","index":200}` + "\n" + `{"host":"a b","step":"begun"}` + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openJournal(path, v2); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want an error that names the file", text, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%q became %q, %v", text, after, err)
		}
	}
}

// FuzzJournal: whatever stands in the file, reading it ends in an error or in rows of hosts.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"format":1,"version":"v2","board":"rpi","index":200}` + "\n" +
		`{"host":"a.example","step":"promoted","at":"2026-05-01T12:00:00Z"}` + "\n" + `{"host":`))
	f.Fuzz(func(t *testing.T, b []byte) {
		j := &journal{rows: map[string]Row{}}
		whole, err := j.parse(b, v2)
		if err != nil {
			return
		}
		if whole < 0 || whole > len(b) || whole > 0 && b[whole-1] != '\n' {
			t.Errorf("%d of %d bytes are whole", whole, len(b))
		}
		for host := range j.rows {
			if checkHost(host) != nil {
				t.Errorf("host %q", host)
			}
		}
	})
}

func TestHostsAreOneALine(t *testing.T) {
	for text, want := range map[string][]string{
		"a.example\nb.example\n":                        {"a.example", "b.example"},
		"\ufeff# cameras\r\n\r\n A.example # hall\r\n":  {"a.example"},
		"10.0.0.1\n10.0.0.1:8443\n[fe80::1%eth0]:443\n": {"10.0.0.1", "10.0.0.1:8443", "[fe80::1%eth0]:443"},
		"a.example\nA.EXAMPLE\na.example":               {"a.example"},
		"krazycam-abcdef.local":                         {"krazycam-abcdef.local"},
	} {
		got, err := parseHosts([]byte(text))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for text, line := range map[string]string{
		"": "1:", "# nobody\n": "1:", "a\nb c\n": "2:", "https://a/\n": "1:", "a,b": "1:", "--bundle": "1:", "a:": "1:",
		strings.Repeat("a", 300): "1:", "a\x00": "1:", "a\n\n" + `b\c`: "3:",
	} {
		if got, err := parseHosts([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), line) {
			t.Errorf("%.40q: %q, %v, want an error about line %s", text, got, err, line)
		}
	}
	if _, err := CheckHosts([]string{"a", "b\nc"}); err == nil {
		t.Error("a host with a line end was taken")
	}
	path := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(path, []byte("a\nb c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadHosts(path); err == nil || !strings.HasPrefix(err.Error(), path+":2: ") {
		t.Errorf("ReadHosts: %v, want file and line", err)
	}
}

// FuzzHosts: what is taken can stand on a command line and in the state file.
func FuzzHosts(f *testing.F) {
	f.Add([]byte("a.example\n10.0.0.1:8443 # x\n[::1]:443"))
	f.Fuzz(func(t *testing.T, b []byte) {
		hosts, err := parseHosts(b)
		if err != nil {
			return
		}
		for _, h := range hosts {
			if h == "" || h[0] == '-' || strings.ContainsAny(h, " \n\t/#\"") {
				t.Errorf("host %q", h)
			}
		}
	})
}
