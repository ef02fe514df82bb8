// What must hold for each line of the settings table, and the documentation made of it.

package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables of docs/configuration.md anew")

const (
	documentation = "../../docs/configuration.md"
	tablesBegin   = "<!-- settings: written by `go test ./firmware/config -update` -->\n"
	tablesEnd     = "<!-- end of settings -->\n"
)

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
		t.Errorf("%s differs from table.go; write it anew with go test ./firmware/config -update (-want +got):\n%s",
			documentation, diff)
	}
}

// tables is one table for each section.
func tables() string {
	var b bytes.Buffer
	c := Default()
	for _, section := range c.Sections() {
		fmt.Fprintf(&b, "\n### %s: %s\n", section.Name, section.Help)
		b.WriteString("| key | flag | takes | what it is | if nothing is said |\n|---|---|---|---|---|\n")
		for _, s := range section.Settings {
			about := s.Help
			if s.Notes != "" {
				about += ". " + strings.ToUpper(s.Notes[:1]) + s.Notes[1:]
			}
			cells := []string{section.Name + "." + s.Key, flagCell(section, s), typeCell(s.Value.Type), about,
				s.DefaultText()}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | "))
		}
	}
	b.WriteString("\n")
	return b.String()
}

func flagCell(section Section, s Setting) string {
	switch {
	case s.Flag == "":
		return ""
	case section.Name == "bench":
		return "`bench --" + s.Flag + "`"
	}
	return "`--" + s.Flag + "`"
}

func typeCell(t Type) string {
	switch t.Kind {
	case Choice:
		return strings.Join(t.Words, ", ")
	case Number:
		return fmt.Sprintf("%d to %d", t.Low, t.High)
	case Switch:
		return "true, false"
	case List:
		if t.Item.Kind == Number {
			return t.Form + "; each from " + typeCell(*t.Item)
		}
	}
	return t.Form
}

func TestTableHasALineForEveryField(t *testing.T) {
	var c Config
	fields, settings := 0, 0
	for i := range reflect.TypeOf(c).NumField() {
		fields += reflect.TypeOf(c).Field(i).Type.NumField()
	}
	keys := map[string]map[string]any{}
	if err := json.Unmarshal([]byte(whole), &keys); err != nil {
		t.Fatal(err)
	}
	for _, section := range c.Sections() {
		for _, s := range section.Settings {
			settings++
			if _, tested := keys[section.Name][s.Key]; !tested {
				t.Errorf("%s.%s: not in the file of TestParseReadsEveryKey", section.Name, s.Key)
			}
		}
	}
	if fields != settings {
		t.Errorf("Config has %d fields, the table %d settings", fields, settings)
	}
}

func TestSettingsCanBeShownInHelpAndForms(t *testing.T) {
	c := Default()
	owners := map[string]string{} // of flags
	for _, section := range c.Sections() {
		for _, s := range section.Settings {
			name := section.Name + "." + s.Key
			if s.Help == "" || len(s.Help) > 100 || s.Value.Form == "" {
				t.Errorf("%s: help %q, form %q: want a line of at most 100 bytes, and words", name, s.Help,
					s.Value.Form)
			}
			if noHint := s.Value.Kind == Switch || s.Value.Kind == Object; (s.Value.Hint == "") != noHint {
				t.Errorf("%s: hint %q does not fit its kind", name, s.Value.Hint)
			}
			if s.Flag == "" {
				continue
			}
			if s.Value.Kind == Object || strings.Contains(s.Help+s.DefaultText(), "`") {
				t.Errorf("%s: has a flag, but no plain help or a value that no flag takes", name)
			}
			flag := flagCell(section, s)
			if owners[flag] != "" {
				t.Errorf("%s: its flag is that of %s", name, owners[flag])
			}
			owners[flag] = name
		}
	}
}

func TestSettingsTakeBackWhatTheyShow(t *testing.T) {
	from, err := Parse("f", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	got := Default()
	to := got.Sections()
	for i, section := range from.Sections() {
		for j, s := range section.Settings {
			if s.Value.Kind == Object {
				continue // not for the command line
			}
			if err := to[i].Settings[j].Value.Set(s.Value.String()); err != nil {
				t.Errorf("%s.%s shows %q and says of it: %v", section.Name, s.Key, s.Value, err)
			}
		}
	}
	from.Camera.Controls = nil
	if diff := cmp.Diff(from, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, section := range to {
		for j, s := range section.Settings {
			nothing := new(Config).Sections()[i].Settings[j].Value
			if nothing.Kind == Number && nothing.String() != "" {
				t.Errorf("%s.%s shows %q where nothing was said", section.Name, s.Key, nothing)
			}
		}
	}
}

func TestExamplesOfTheDocumentationAreConfigurations(t *testing.T) {
	for _, file := range []string{
		documentation, "../../docs/receivers.md",
		"../../docs/quick-start-raspberry-pi.md", "../../docs/quick-start-beaglebone.md",
		"../../docs/quick-start-pc.md",
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, found := strings.Cut(string(text), "```json\n")
		if !found {
			t.Errorf("%s has no example", file)
		}
		for ; found; _, rest, found = strings.Cut(rest, "```json\n") {
			example, _, _ := strings.Cut(rest, "```")
			if _, err := Parse(file, []byte(example)); err != nil {
				t.Errorf("%v, in the example\n%s", err, example)
			}
		}
	}
}
