package main

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestAwaitLoaderReapsTheLoaderOfTheInitramfs(t *testing.T) {
	start := func(script string) string {
		cmd := exec.Command("sh", "-c", script)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return strconv.Itoa(cmd.Process.Pid)
	}
	good := start("exit 0")
	for _, c := range []struct{ name, number, wantErr string }{
		{"it loaded all", good, ""},
		{"another init waited already", good, ""},
		{"some modules failed", start("exit 1"), "some failed"},
		{"it was killed", start("kill -9 $$"), "some failed"},
		{"it could not be started", "0", "no process"},
		{"nonsense", "x", "no process"},
		{"all processes", "-1", "no process"},
	} {
		err := awaitLoader(c.number)
		if c.wantErr == "" && err != nil || c.wantErr != "" &&
			(err == nil || !strings.Contains(err.Error(), c.wantErr)) {
			t.Errorf("%s: awaitLoader(%s) = %v, want %q", c.name, c.number, err, c.wantErr)
		}
	}
}
