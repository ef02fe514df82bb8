// /perm: an empty ext4 made by mke2fs, with nothing in it that a clock or a
// random number decides. Debian package: e2fsprogs.
package gokrazy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// ErrNoTool means that a program of this machine is missing; the text says which
// package has it.
var ErrNoTool = errors.New("program is not installed")

const (
	permUUID = "60c24cc1-f3f9-427a-8199-5b1ce00101ff"
	// What a kernel since 3.18 knows; the machine's own mke2fs.conf must not decide.
	ext4Features = "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
	// 2026-01-01, for tools that have to write some time.
	noTime = "1767225600"
)

// makePerm makes the file system inside file, at an offset in bytes.
func makePerm(ctx context.Context, file string, offset, size int64) error {
	program, err := exec.LookPath("mke2fs")
	if err != nil {
		for _, usual := range []string{"/usr/sbin/mke2fs", "/sbin/mke2fs", "/opt/homebrew/opt/e2fsprogs/sbin/mke2fs"} {
			if _, statErr := os.Stat(usual); statErr == nil {
				program, err = usual, nil
				break
			}
		}
	}
	if err != nil {
		return fmt.Errorf("/perm: mke2fs: %w: install e2fsprogs", ErrNoTool)
	}
	cmd := exec.CommandContext(ctx, program, "-q", "-F",
		"-O", ext4Features, "-b", "4096", "-I", "256", "-m", "0", "-i", "16384",
		"-J", "size=4", "-L", "perm", "-U", permUUID, "-r", "1",
		"-E", "hash_seed="+permUUID+",lazy_itable_init=0,lazy_journal_init=0,nodiscard,root_owner=0:0,offset="+strconv.FormatInt(offset, 10),
		file, strconv.FormatInt(size/1024, 10)+"k")
	cmd.Env = append(os.Environ(), "MKE2FS_CONFIG=/dev/null", "E2FSPROGS_FAKE_TIME="+noTime, "SOURCE_DATE_EPOCH="+noTime, "MKE2FS_SYNC=0", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("/perm: mke2fs: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
