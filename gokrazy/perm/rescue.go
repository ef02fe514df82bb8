// The small files of a damaged file system: settings, keys, events, the clock.

package perm

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/krazycam/krazycam/firmware/openfile"
)

const (
	rescueFile  = 64 << 10 // bytes of a file: the longest configuration
	rescueAll   = 4 << 20  // of all of them, which are in memory meanwhile
	rescueCount = 500
	// rescueEach is for the user of each service, folders included. Two services have a folder that is
	// saved: 2 * 20 * 64 KiB are 2.5 MiB, which leaves root's files, of some 100 kB, all that they need.
	rescueEach  = 20
	rescueDepth = 4
)

// A file is one that was read, or a folder.
type file struct {
	path     string // below the mount
	mode     fs.FileMode
	uid, gid int
	content  []byte
}

// worthless are folders whose content can be fetched or made again.
var worthless = []string{"lost+found", "update/spool", "var", "home"}

func isWorthless(path string) bool {
	for _, w := range worthless {
		if path == w || strings.HasPrefix(path, w+"/") {
			return true
		}
	}
	return false
}

// rescue reads what it can, within limits. What cannot be read is left out. Of each service there are
// some files only: one in foreign hands must not fill what is saved.
func rescue(dir string) []file {
	r := rescuer{dir: dir, of: map[int]int{}}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		name, relErr := filepath.Rel(dir, path)
		if err != nil || relErr != nil || name == "." {
			return nil // a folder that cannot be listed has nothing to walk
		}
		if d.IsDir() && (isWorthless(name) || strings.Count(name, "/") >= rescueDepth) {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		f := file{path: name, mode: info.Mode()}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			f.uid, f.gid = int(st.Uid), int(st.Gid)
		}
		r.take(f, info.Size())
		return nil
	})
	return r.files
}

// A rescuer collects files.
type rescuer struct {
	dir   string
	files []file
	of    map[int]int // how many are each user's, folders included
	total int64       // bytes
}

// take adds a file with its content, or a folder.
func (r *rescuer) take(f file, size int64) {
	if len(r.files) >= rescueCount || f.uid != 0 && r.of[f.uid] >= rescueEach {
		return
	}
	if !f.mode.IsDir() {
		if !f.mode.IsRegular() || size > rescueFile || r.total+size > rescueAll {
			return
		}
		var err error
		if f.content, err = openfile.Read(filepath.Join(r.dir, f.path), rescueFile); err != nil {
			return
		}
		r.total += int64(len(f.content))
	}
	r.of[f.uid]++
	r.files = append(r.files, f)
}

// restore writes the files, as they were, and says how many; folders do not count.
func restore(dir string, list []file) int {
	n := 0
	for _, f := range list {
		path := filepath.Join(dir, f.path)
		if f.mode.IsDir() {
			if os.MkdirAll(path, 0o700) == nil {
				_ = errors.Join(os.Chown(path, f.uid, f.gid), os.Chmod(path, f.mode.Perm())) // it is root's, then
			}
			continue
		}
		if restoreFile(path, f) == nil {
			n++
		}
	}
	unix.Sync()
	return n
}

func restoreFile(path string, f file) error {
	out, err := openfile.Create(path, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(f.content)
	err = errors.Join(err, out.Chown(f.uid, f.gid), out.Chmod(f.mode.Perm()))
	return errors.Join(err, out.Close())
}
