package forward

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/openfile"
)

func TestAFileOfRulesIsReadOrItsFaultNamed(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[]", ""},
		{`[{"from":"all","rtp":"h:2"}, {"from":"source:x","whip":"http://h","token":"t"}]`, ""},
		{"[{\"from\":\"all\",\n\"rtp\":\"h:2\",\n\"port\":7}]", `unknown field "port"`},
		{"[{\"from\":\"all\",\n\"rtp\":5004}]", "line 2"},
		{`[{"from":"all","rtp":"h:2"},{"from":"all"}]`, "rule 2: "},
		{`[] []`, "something follows"},
		{``, "EOF"},
		{`{"from":"all"}`, "cannot unmarshal object"},
	} {
		path := filepath.Join(t.TempDir(), "forward.json")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadRules(path)
		if (c.want == "") != (err == nil) || err != nil &&
			(!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: ReadRules = %v, want %q", c.text, err, c.want)
		}
	}
}

func TestAFileOfRulesThatOthersCanReadIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	path := filepath.Join(t.TempDir(), "forward.json")
	if err := os.WriteFile(path, []byte("[]"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRules(path); !errors.Is(err, openfile.ErrReadable) {
		t.Errorf("ReadRules = %v, want %v", err, openfile.ErrReadable)
	}
}

func FuzzAnyFileOfRulesIsReadOrRefused(f *testing.F) {
	f.Add([]byte(`[{"from":"all","rtp":"127.0.0.1:5004-5103","local":7000}]`))
	f.Add([]byte(`[{"from":"source:a*b","janus":"http://h/janus","secret":"s","iface":"::1"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		rules, err := ParseRules(b)
		for i := range rules {
			if err == nil && rules[i].Check() != nil {
				t.Errorf("%s: rule %d was taken", b, i)
			}
			rules[i].matches("customer", "source", "id")
		}
	})
}
