package gateway

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

func TestFileStoreKeepsTheLiteralAndLeavesNoOtherFile(t *testing.T) {
	store := FileStore{Dir: t.TempDir()}
	if id, err := store.Load(); err != nil || !id.IsZero() {
		t.Errorf("Load of nothing = %v, %v", id, err)
	}
	var number wire.ID
	if err := json.Unmarshal([]byte("12345678901234567890"), &number); err != nil {
		t.Fatal(err)
	}
	for _, id := range []wire.ID{wire.TextID("a\nb"), number} {
		if err := store.Save(id); err != nil {
			t.Fatal(err)
		}
		if got, err := store.Load(); err != nil || got != id {
			t.Errorf("Load = %v, %v, want %v", got, err, id)
		}
	}
	if entries, err := os.ReadDir(store.Dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v, want one file", entries, err)
	}
	if err := os.WriteFile(filepath.Join(store.Dir, "utilization_id"), []byte("\x00\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := store.Load(); err == nil || !id.IsZero() {
		t.Errorf("Load of garbage = %v, %v, want an error", id, err)
	}
	if err := (FileStore{Dir: filepath.Join(store.Dir, "none")}).Save(wire.TextID("x")); err == nil {
		t.Error("Save into nothing = nil")
	}
}
