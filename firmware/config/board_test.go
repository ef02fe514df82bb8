package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// judged gives a Verdict in words: the keys that count, and the problems.
func judged(v Verdict) string {
	var keys, problems []string
	for _, i := range v.Items {
		keys = append(keys, i.Name()+"="+string(i.Value))
	}
	for _, p := range v.Problems {
		problems = append(problems, p.Error())
	}
	all := strings.Join(keys, " ")
	if !v.Usable {
		all += "NOTHING"
	}
	return strings.Join(append([]string{all}, problems...), "; ")
}

func TestJudge(t *testing.T) {
	const unknown = "unknown key (there are "
	for _, c := range []struct{ name, file, want string }{
		{"all is known", `{"stream": {"fps": 15}, "log": {"level": "warn"}}`, `stream.fps=15 log.level="warn"`},
		{"a key of another version costs that key", "{\"stream\": {\n\"fps\": 15,\n\"codec\": \"vp9\"}}",
			`stream.fps=15; f:3: stream.codec: ` + unknown},
		{"so does a section", `{"wifi": {"ssid": "x", "key": "y"}, "stream": {"fps": 15}}`,
			`stream.fps=15; f:1: wifi.ssid: unknown section (there are `},
		{"so does a value", `{"stream": {"fps": 15, "speed": 7}}`, `stream.fps=15; f:1: stream.speed: must be a whole`},
		{"a key said twice counts once", `{"stream": {"fps": 15, "fps": 20}}`,
			`stream.fps=15; f:1: stream.fps: said twice`},
		{"a section that is none", `{"stream": 7, "log": {}}`, `; f:1: stream: must be an object in { }`},
		{"nested values of any depth", `{"stream": {"fps": [[{"a": [1]}]], "mtu": 1500}}`,
			`stream.mtu=1500; f:1: stream.fps: a list holds plain values only`},
		{"no JSON: nothing", `{"stream": {"fps": 15}`, `NOTHING; f:1: not JSON: the file ends too early`},
		{"zeros: nothing", "\x00\x00", `NOTHING; f:1: the file is filled with zero bytes`},
		{"empty: nothing", "", `NOTHING; f:1: empty`},
		{"text behind it: nothing", `{} {}`, `NOTHING; f:1: text after the closing }`},
		{"a guard that is wrong: nothing", `{"stream": {"fps": 15, "encryption": "yes"}}`,
			`NOTHING; f:1: stream.encryption: "yes" must be one of required`},
		{"a guard with a typing mistake: nothing", `{"stream": {"fps": 15, "encrypton": "required"}}`,
			`NOTHING; f:1: stream.encrypton: ` + unknown},
		{"in the wrong section: nothing", `{"Stream": {"Encryption": "required"}}`,
			`NOTHING; f:1: Stream.Encryption: unknown section`},
		{"outside of any: nothing", `{"allowed-recievers": ["10.0.0.1"]}`,
			`NOTHING; f:1: allowed-recievers: unknown section`},
		{"settings that do not go together: nothing", `{"stream": {"rtp": "a:5004"}}`,
			`NOTHING; f: stream.rtcp: is missing`},
		{"a value that others need: nothing", `{"stream": {"rtp": "a:5004", "rtcp": 5005}}`,
			`NOTHING; f:1: stream.rtcp: must be text in " "; f: stream.rtcp: is missing`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := judged(Judge(nil, "f", []byte(c.file))); !strings.HasPrefix(got, c.want) {
				t.Errorf("Judge = %s, want %s", got, c.want)
			}
		})
	}
}

func TestJudgeTakesTheImagesDefaultsIntoAccount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "defaults.json")
	if err := os.WriteFile(path, []byte(`{"stream": {"rtcp": "a:5005"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	v := Judge(nil, "f", []byte(`{"stream": {"rtp": "a:5004"}}`))
	if v.Usable {
		t.Error("rtp alone is usable")
	}
	// The defaults alone do not go together, but with the file they do.
	items, err := ReadItems(path, []byte(`{"stream": {"rtcp": "a:5005"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if v := Judge(items, "f", []byte(`{"stream": {"rtp": "a:5004"}}`)); !v.Usable {
		t.Errorf("over the defaults: %s", judged(v))
	}
}

func TestPartKeepsTheOwnersWordsAndSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "camsource.json")
	v := Judge(nil, "/perm/a/krazycam.json", []byte("{\"stream\": {\"fps\": 15,\n\"codec\": 1, \"controls\": 2}}"))
	for _, c := range []struct {
		name    string
		part    Part
		fps     int
		partly  bool
		message string
	}{
		{"all is well", Part{Items: v.Items}, 15, false, ""},
		{"some settings are not used", Part{Items: v.Items, Problems: v.Problems}, 15, true,
			"settings not used: /perm/a/krazycam.json:2: stream.codec: unknown key"},
		{"the file is not used", Part{Unused: true, Problems: v.Problems}, 0, false,
			"/perm/a/krazycam.json:2: stream.codec: unknown key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.part.Bytes()
			if err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := LoadBoard(filepath.Join(dir, "none"), path)
			wrong := got.Stream.FPS != c.fps || errors.Is(err, ErrOnlyPartly) != c.partly
			if wrong || (err != nil) != (c.message != "") {
				t.Fatalf("LoadBoard = %d fps, %v", got.Stream.FPS, err)
			}
			if err == nil {
				return
			}
			if got := err.Error(); !strings.HasPrefix(got, c.message) || !strings.HasSuffix(got, "(and 1 more)") {
				t.Errorf("LoadBoard = %s, want %s", got, c.message)
			}
		})
	}
}

func TestOverlay(t *testing.T) {
	read := func(s string) []Item {
		items, err := ReadItems("f", []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	got := WriteItems(Overlay(read(`{"stream": {"fps": 10, "new": [1, 2]}, "log": {}}`),
		read(`{"stream": {"fps": 15}, "wifi": {"ssid": "x"}}`)))
	const want = `{
  "stream": {
    "fps": 15,
    "new": [1, 2]
  },
  "wifi": {
    "ssid": "x"
  }
}
`
	if string(got) != want {
		t.Errorf("Overlay = %s, want %s", got, want)
	}
	if string(WriteItems(nil)) != "{}\n" {
		t.Errorf("WriteItems of nothing = %s", WriteItems(nil))
	}
}

// The reader for a desk and the one for a board agree on what is right.
func FuzzReadItems(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"stream": {"fps": 15, "fps": 16, "codec": {"a": [1, {}]}}, "x": 1, "stream": {}}`))
	f.Add([]byte("{\"gateway\":\n{\"ca\": 1}}\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		strict, strictErr := Parse("f", b)
		if strictErr == nil {
			strictErr = strict.CheckTogether("f")
		}
		v := Judge(nil, "f", b)
		if (strictErr == nil) != (v.Usable && len(v.Problems) == 0) {
			t.Fatalf("strictly %v; judged %s", strictErr, judged(v))
		}
		lines := 1 + strings.Count(string(b), "\n")
		for _, p := range v.Problems {
			if p.Line < 0 || p.Line > lines {
				t.Errorf("problem in line %d of %d: %v", p.Line, lines, p)
			}
		}
		if !v.Usable {
			return
		}
		file := WriteItems(v.Items)
		c, err := Default().withinLimit("g", file, maxPart)
		if err != nil {
			t.Fatalf("what counts is not read: %v in %s", err, file)
		}
		if strictErr == nil && !reflect.DeepEqual(c, strict) {
			t.Fatalf("%+v, want %+v", c, strict)
		}
	})
}

// A file with thousands of mistakes is still one whose other settings count, and each service can read
// its part of it.
func TestPartOfAFileFullOfMistakesIsRead(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"stream": {"fps": 7`)
	for i := range 6000 {
		fmt.Fprintf(&b, `,"k%d":0`, i)
	}
	long := strings.Repeat("<", MaxBytes-b.Len()-30)
	fmt.Fprintf(&b, `,"%s":0}}`, long)
	v := Judge(nil, "krazycam.json", []byte(b.String()))
	if len(v.Problems) != 6001 {
		t.Fatalf("%d problems, want one of each key", len(v.Problems))
	}
	slices.Reverse(v.Problems) // the longest one first
	text, err := Part{Items: v.Items, Problems: v.Problems}.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "camsource.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadBoard("", path)
	if !errors.Is(err, ErrOnlyPartly) || c.Stream.FPS != 7 || !strings.Contains(err.Error(), "(and 6000 more)") {
		t.Errorf("%d bytes: fps %v, %.200v", len(text), c.Stream.FPS, err)
	}
}
