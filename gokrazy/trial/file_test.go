package trial

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/krazycam/krazycam/gokrazy/control"
)

func TestLoadGivesWhatWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trial.json")
	if k, err := Load(path); err != nil || !reflect.DeepEqual(k, Kept{}) {
		t.Errorf("without a file: %+v, %v", k, err)
	}
	r := record(control.StateJudging, 2)
	failed := &control.Failed{Version: "v1", Index: 1, Because: "why", At: time.Unix(1767225600, 0).UTC()}
	want := Kept{Record: &r, Failed: failed, WentBack: true,
		Started: map[string]Version{"a": {"v1", 1}, "b": {"v2", 2}}}
	for _, k := range []Kept{want, {Failed: want.Failed}, {}, want} {
		if err := Save(path, k); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(path); err != nil || !reflect.DeepEqual(got, k) {
			t.Errorf("Load = %+v, %v, want %+v", got, err, k)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v, want one for root alone", info.Mode(), err)
	}
}

func TestBrokenRecordIsNone(t *testing.T) {
	for name, content := range map[string]string{
		"nothing":         "",
		"half":            `{"format":1,"trial":{"slot":"b"`,
		"another format":  `{"format":2,"trial":{"slot":"b","rung_before":"sent"}}`,
		"no such slot":    `{"format":1,"trial":{"slot":"c","rung_before":"sent"}}`,
		"no such rung":    `{"format":1,"trial":{"slot":"b","rung_before":"top"}}`,
		"years to hold":   `{"format":1,"trial":{"slot":"b","rung_before":"sent","need_s":100000000}}`,
		"tries before 0":  `{"format":1,"trial":{"slot":"b","rung_before":"sent","tries":-1}}`,
		"words for tries": `{"format":1,"trial":{"slot":"b","rung_before":"sent","tries":"two"}}`,
	} {
		path := filepath.Join(t.TempDir(), "trial.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if k, err := Load(path); err == nil || !reflect.DeepEqual(k, Kept{}) {
			t.Errorf("%s: %+v, %v, want an error and nothing", name, k, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"format":1,"trial":{"slot":"b","state":"judging","rung_before":"sent","need_s":60,"tries":1}}`))
	f.Add([]byte(`{"format":1,"failed":{"version":"v1","because":"why","at":"2026-01-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parse(b)
		if err != nil || k.Record == nil {
			return
		}
		for _, boot := range []Boot{{Running: "a", Promoted: "a"}, {Running: "b", Promoted: "a"},
			{Running: "a", Promoted: "a", PowerCut: true}} {
			if r, step := k.Record.AtBoot(boot); step == Try && r.Tries >= maxTries {
				t.Errorf("%+v: tried again after %d tries", r, r.Tries)
			}
		}
	})
}
