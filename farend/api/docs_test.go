package api

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// The examples of docs/server-api.md do what the page says.
func TestExamplesOfThePageWork(t *testing.T) {
	need.Tools(t, "curl", "jq", "bash")
	page, err := os.ReadFile("../../docs/server-api.md")
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	c := b.addCustomer("Farm")
	source, id := b.addStream(c.ID)
	b.history.Sample(b.clock())
	want := []string{`"key":"`, source.ID.String() + "\tstreaming\t30\t0", `"enabled":false`, "",
		"customer added\tFarm"}
	examples := regexp.MustCompile("(?s)```\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(examples) != len(want) {
		t.Fatalf("%d examples, want %d", len(examples), len(want))
	}
	dir := t.TempDir()
	for i, example := range examples {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", example[1])
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "SERVER="+b.server.URL, "TOKEN="+b.admin,
			"SOURCE="+source.ID.String(), "STREAM="+id)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want[i]) {
			t.Errorf("%s= %v: %s\nwant %q", example[1], err, out, want[i])
		}
	}
	run, err := os.ReadFile(dir + "/run.csv")
	if err != nil || strings.Count(string(run), "\n") != 2 || !strings.Contains(string(run), id+",") {
		t.Errorf("run.csv: %q, %v", run, err)
	}
}
