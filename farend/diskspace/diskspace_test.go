package diskspace

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
)

func TestSpaceOfAFolder(t *testing.T) {
	s, err := Of(t.TempDir())
	if err != nil || s.Size == 0 || s.Free > s.Size {
		t.Errorf("Of = %+v, %v, want at most as much as there is", s, err)
	}
}

func TestSpaceOfNothingIsAnError(t *testing.T) {
	if s, err := Of(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Of = %+v, %v, want that there is nothing", s, err)
	}
}
