//go:build unix

package image

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/krazycam/krazycam/firmware/openfile"
)

// As root, an image would else stand in the place of the card's device.
func TestImageFollowsALinkAndReplacesNoDevice(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink("cam.img", link)); err != nil {
		t.Fatal(err)
	}
	_, err := Build(t.Context(), piBoard(t), fakeParts(t), pipe, noLog)
	if !errors.Is(err, openfile.ErrKind) || !strings.Contains(err.Error(), "camctl flash") {
		t.Errorf("Build onto what is no plain file = %v, want a refusal that names camctl flash", err)
	}
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("a %v stands in the place of the pipe, %v", info.Mode(), err)
	}
	if image, bill, err := resultFiles(link); err != nil || filepath.Base(image) != "cam.img" ||
		filepath.Base(bill) != "link"+SBOMSuffix {
		t.Errorf("behind a link: %s and %s, %v, want cam.img and the bill beside the link", image, bill, err)
	}
}
