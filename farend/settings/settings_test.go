// What must hold for each line of the settings table, and the documentation made of it.

package settings

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables of docs/camserver.md anew")

const (
	documentation = "../../docs/camserver.md"
	tablesBegin   = "<!-- settings: written by `go test ./farend/settings -update` -->\n"
	tablesEnd     = "<!-- end of settings -->\n"
)

// whole says something else than the default of every setting.
const whole = `{
  "gateway": {"listen": "10.0.0.1:443", "host": "cams.example", "proxies": ["10.0.0.0/8", "fd00::/8"],
    "srtp": true, "keepalive": "20s", "tls": false, "certificate": "c.pem", "key": "k.pem",
    "names": ["a.example", "10.0.0.9"]},
  "receiver": {"listen": "10.0.0.2", "host": "rtp.example", "ports": "20000-20999", "any-address": true, "capacity": 7},
  "state": {"folder": "/srv/state", "database": "postgres://u@h/d"},
  "record": {"folder": "", "bytes": "3T", "age": "12h", "segment": "10m"},
  "forward": {"rules": [{"from": "all", "rtp": "127.0.0.1:6000"}]},
  "operator": {"listen": "", "password-file": "admin"},
  "cluster": {"name": "one.example", "listen": ":8082", "url": "https://10.0.0.1:8082", "tokens-file": "/etc/t"},
  "log": {"level": "debug", "format": "json"}
}`

func parse(t *testing.T, text string) Settings {
	t.Helper()
	s := Default()
	if err := s.Parse("f", []byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDocumentationHasTheTablesOfTheSettings(t *testing.T) {
	old, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(old), tablesBegin)
	_, after, ends := strings.Cut(rest, tablesEnd)
	if !begins || !ends {
		t.Fatalf("%s lacks %q or %q", documentation, tablesBegin, tablesEnd)
	}
	want := before + tablesBegin + tables() + tablesEnd + after
	if *update {
		if err := os.WriteFile(documentation, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(old)); diff != "" {
		t.Errorf("%s differs from table.go; write it anew with go test ./farend/settings -update (-want +got):\n%s",
			documentation, diff)
	}
}

// tables is one table for each group.
func tables() string {
	var b bytes.Buffer
	s := Default()
	for _, group := range s.Groups() {
		fmt.Fprintf(&b, "\n### %s: %s\n", group.Name, group.Help)
		b.WriteString("| key | flag | takes | what it is | if nothing is said |\n|---|---|---|---|---|\n")
		for _, one := range group.Settings {
			about := one.Help
			if one.Notes != "" {
				about += ". " + strings.ToUpper(one.Notes[:1]) + one.Notes[1:]
			}
			flag := ""
			if one.Flag != "" {
				flag = "`--" + one.Flag + "`"
			}
			fmt.Fprintf(&b, "| %s.%s | %s | %s | %s | %s |\n", group.Name, one.Key, flag, one.Value.Form, about,
				one.DefaultText())
		}
	}
	b.WriteString("\n")
	return b.String()
}

// A field without a line, or a line that stores elsewhere, shows as a field that keeps its default.
func TestEverySettingReachesItsField(t *testing.T) {
	got, before := reflect.ValueOf(parse(t, whole)), reflect.ValueOf(Default())
	for i := range got.NumField() {
		for j := range got.Field(i).NumField() {
			if reflect.DeepEqual(got.Field(i).Field(j).Interface(), before.Field(i).Field(j).Interface()) {
				t.Errorf("%s.%s is as before: %v", got.Type().Field(i).Name, got.Field(i).Type().Field(j).Name,
					got.Field(i).Field(j))
			}
		}
	}
}

func TestSettingsCanBeShownInHelp(t *testing.T) {
	s := Default()
	flags := map[string]string{}
	for _, group := range s.Groups() {
		for _, one := range group.Settings {
			name := group.Name + "." + one.Key
			if one.Help == "" || len(one.Help) > 100 || one.Value.Form == "" || strings.Contains(one.Help, "`") {
				t.Errorf("%s: help %q, form %q: want a line of at most 100 bytes of plain text, and words",
					name, one.Help, one.Value.Form)
			}
			if one.Flag != "" && flags[one.Flag] != "" {
				t.Errorf("%s: its flag is that of %s", name, flags[one.Flag])
			}
			flags[one.Flag] = name
		}
	}
}

func TestSettingsTakeBackWhatTheyShow(t *testing.T) {
	from := parse(t, whole)
	got := Default()
	to := got.Groups()
	for i, group := range from.Groups() {
		for j, one := range group.Settings {
			if one.Value.Kind == Objects {
				continue
			}
			if err := to[i].Settings[j].Value.Set(one.Value.String()); err != nil {
				t.Errorf("%s.%s shows %q and says of it: %v", group.Name, one.Key, one.Value, err)
			}
		}
	}
	from.Forward = Forward{} // for the file alone
	if diff := cmp.Diff(from, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrongFilesAreNamedByKeyAndLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "f:1: empty"},
		{"{}x", "f:1: text after"},
		{"[]", "f:1: must be an object"},
		{"{\n\"gate\": {}}", "f:2: gate: unknown group (there are cluster, forward, gateway"},
		{"{\"log\": {\n\n\"levl\": \"info\"}}", "f:3: log.levl: unknown key (there are format, level)"},
		{"{\"log\": {\"level\": \"loud\"}}", `f:1: log.level: "loud" must be one of debug`},
		{"{\"log\": {\"level\":\n\n 5}}", `f:1: log.level: must be one of debug, info, warn, error, in " "`},
		{"{\"receiver\": {\n\"capacity\": \"5\"}}", "f:2: receiver.capacity: must be a whole number from 1"},
		{"{\"receiver\": {\n\"capacity\": 0}}", `f:2: receiver.capacity: "0" must be a whole number from 1`},
		{"{\"receiver\": {\n\"capacity\": 5,\n\"capacity\": 6}}", "f:3: receiver.capacity: said twice"},
		{"{\"gateway\": {\"tls\": \"yes\"}}", "f:1: gateway.tls: must be true or false"},
		{"{\"gateway\": {\"names\": \"a\"}}", `f:1: gateway.names: must be host names and addresses, in [ ]`},
		{"{\"gateway\": {\"listen\": \"8080\"}}", `"8080" must be HOST:PORT`},
		{"{\"gateway\": {\"keepalive\": \"1s\"}}", `"1s" must be a time from 5s to 10m`},
		{"{\"receiver\": {\"ports\": \"80\"}}", "80: must be from 1024"},
		{"{\"log\": {\n\"level\" \"info\"}}", "f:2: log.level: not JSON"},
		{"{\"log\": {\n\"level\": \"info\"\n", "f:2: log: not JSON: the file ends too early"},
		{"{\"log\": {\n\"level\": \n", "f:2: log.level: not JSON: the file ends too early"},
		{"{\"forward\": {\n\"rules\": [{\"rtq\": 1}]}}", "f:2: forward.rules: must be a list of rules"},
		{"{\"forward\": {\n\"rules\": [{}]}}", "f:2: forward.rules: rule 1: "},
		{"{\"record\": {\"bytes\": \"1k\"}}", `"1k" must be a size from 10M`},
	} {
		s := Default()
		err := s.Parse("f", []byte(c.text))
		var is *Error
		if !errors.As(err, &is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestPortsAreReadAndRefused(t *testing.T) {
	for text, want := range map[string]Ports{
		"5004,5005": {RTP: 5004, RTCP: 5005}, "0,0": {}, "5004": {RTP: 5004, RTCP: 5004},
		"20000-20999": {First: 20000, Last: 20999}, "5004, 6000": {RTP: 5004, RTCP: 6000},
	} {
		if got, err := ParsePorts(text); err != nil || got != want {
			t.Errorf("ParsePorts(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "22", "70000", "5004,5004", "5004,80", "20001-20998", "20000-19999",
		"20000-20998", "10-21", "a-b", "1024-", "5004,5005,5006"} {
		if got, err := ParsePorts(text); err == nil {
			t.Errorf("ParsePorts(%q) = %+v, want an error", text, got)
		}
	}
}

func TestSettingsThatDoNotFitTogether(t *testing.T) {
	for text, want := range map[string]string{
		`{"gateway": {"certificate": "c"}}`:                           "belong together",
		`{"gateway": {"tls": false, "certificate": "c", "key": "k"}}`: "no use without",
		`{"cluster": {"listen": ":8082"}}`:                            "needs a database",
		`{"cluster": {"url": "https://x"}}`:                           "belongs to cluster.listen",
		`{"gateway": {"tls": false, "srtp": true}}`:                   "https only",
		`{"state": {"folder": ""}}`:                                   "state.folder",
	} {
		s := parse(t, text)
		if err := s.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	s := Default()
	if err := s.Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestKeysInTheClearAreForLoopbackAndLoadBalancers(t *testing.T) {
	for text, refused := range map[string]bool{
		`{}`:                          false,
		`{"gateway": {"tls": false}}`: true,
		`{"gateway": {"tls": false, "listen": "10.0.0.1:80"}}`:                            true,
		`{"gateway": {"tls": false, "listen": "cams.example:80"}}`:                        true,
		`{"gateway": {"tls": false, "listen": "127.0.0.1:80"}}`:                           false,
		`{"gateway": {"tls": false, "listen": "[::1]:80"}}`:                               false,
		`{"gateway": {"tls": false, "listen": "localhost:80"}}`:                           false,
		`{"gateway": {"tls": false, "listen": "10.0.0.1:80", "proxies": ["10.0.0.0/8"]}}`: false,
	} {
		s := parse(t, text)
		if err := s.CheckPlain(); (err != nil) != refused {
			t.Errorf("%s: %v, want it refused: %v", text, err, refused)
		}
	}
}

func TestFileWithAPasswordMustBeASecret(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	path := filepath.Join(t.TempDir(), "camserver.json")
	for url, refused := range map[string]bool{
		"postgres://u:secret@h/d": true, "postgres://u@h/d": false, "postgres://u@h/d?sslmode=require": false,
		"postgres://u@h/d?password=secret": true, "postgres://h/d?user=u&sslpassword=secret": true,
	} {
		if err := os.WriteFile(path, []byte(`{"state": {"database": "`+url+`"}}`), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		s := Default()
		err := s.Load(path)
		if (err != nil) != refused || err != nil && strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v, want it refused: %v", url, err, refused)
		}
	}
}

func TestTimesAndSizesReadAsPeopleWriteThem(t *testing.T) {
	var d time.Duration
	v := duration(&d, time.Second, 3650*day, "never")
	for in, out := range map[string]string{"90s": "1m30s", "15m": "15m", "48h": "2d", "30d": "30d", "0": "0s"} {
		if err := v.Set(in); err != nil || v.String() != out {
			t.Errorf("%q = %q, %v, want %q", in, v, err, out)
		}
	}
	var n int64
	v = size(&n, 1000, "no limit")
	for in, out := range map[string]string{"20G": "20G", "1500M": "1500M", "2000k": "2M", "0": "0", "1234": "1234"} {
		if err := v.Set(in); err != nil || v.String() != out {
			t.Errorf("%q = %q, %v, want %q", in, v, err, out)
		}
	}
	for _, in := range []string{"-1", "1e3", "99999999T", "G", "1 G"} {
		if err := v.Set(in); err == nil {
			t.Errorf("%q = %d, want an error", in, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"log":{"level":`))
	f.Add([]byte("{\"receiver\": {\"ports\": \"1-2\"}}\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := Default()
		err := s.Parse("f", b)
		var is *Error
		if err != nil && (!errors.As(err, &is) || is.Line < 1 || is.Line > 1+bytes.Count(b, []byte("\n"))) {
			t.Errorf("%q: %v", b, err)
		}
	})
}
