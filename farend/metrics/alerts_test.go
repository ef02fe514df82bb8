package metrics

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

func readAlerts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAlertsFireWhenTheyMustAndNotBefore(t *testing.T) {
	need.Tools(t, "promtool")
	dir := t.TempDir()
	cases, err := os.ReadFile("testdata/alerts_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules := readAlerts(t)
	for name, text := range map[string]string{"alerts.yml": rules, "alerts_test.yml": string(cases)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, m := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(string(cases), "- alertname: "+m[1]+"\n") {
			t.Errorf("no case lets %s fire", m[1])
		}
	}
}

func TestAlertsNameMetricsThatThereAre(t *testing.T) {
	text := scrape(t, everything(t, busyReceiver()))
	for _, name := range regexp.MustCompile(`krazycam_\w+`).FindAllString(readAlerts(t), -1) {
		if !strings.Contains(text, "\n"+name+"{") && !strings.Contains(text, "\n"+name+" ") {
			t.Errorf("docs/alerts.yml names %s, which no scrape has", name)
		}
	}
}
