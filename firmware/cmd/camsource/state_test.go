package main

import (
	"os"
	"testing"
)

func TestStateOfAServiceIsTheFolderThatSystemdMade(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/home/a/.state")
	for folders, want := range map[string]string{
		"/var/lib/camsource":                "/var/lib/camsource",
		"/var/lib/camsource:/var/lib/other": "/var/lib/camsource",
	} {
		t.Setenv("STATE_DIRECTORY", folders)
		if got := defaultState(); got != want {
			t.Errorf("STATE_DIRECTORY=%q: state is %q, want %q", folders, got, want)
		}
	}
	want := "/home/a/.state/camsource"
	if os.Geteuid() == 0 {
		want = "/var/lib/camsource"
	}
	for _, none := range []string{"", "relative"} {
		t.Setenv("STATE_DIRECTORY", none)
		if got := defaultState(); got != want {
			t.Errorf("STATE_DIRECTORY=%q: state is %q, want %q", none, got, want)
		}
	}
}
