package lock

import (
	"errors"
	"testing"
)

func TestFolderIsOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Folder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Folder(dir); !errors.Is(err, ErrHeld) { // another open file is as another process
		t.Errorf("a second lock = %v, want %v", err, ErrHeld)
	}
	unlock()
	again, err := Folder(dir)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	again()
}
