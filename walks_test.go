// The walks of ARCHITECTURE.md: the files that they name are there, and none comes twice.

package krazycam_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestWalksVisitEachFileOnce(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, walks, _ := strings.Cut(string(text), "\n## Walks\n")
	walks, _, _ = strings.Cut(walks, "\n## ")
	all := strings.Split(walks, "\n### ")[1:]
	if len(all) == 0 {
		t.Fatal("ARCHITECTURE.md has no walks")
	}
	step := regexp.MustCompile("(?m)^[0-9]+\\. `([^`]+)`")
	for _, walk := range all {
		name, _, _ := strings.Cut(walk, "\n")
		steps := step.FindAllStringSubmatch(walk, -1)
		if len(steps) == 0 {
			t.Errorf("%s: no steps that begin with a file, such as 1. `firmware/stream.go`", name)
		}
		visited := map[string]bool{}
		for _, s := range steps {
			if _, err := os.Stat(s[1]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if visited[s[1]] {
				t.Errorf("%s: visits %s twice", name, s[1])
			}
			visited[s[1]] = true
		}
	}
}
