// Package pifirmware models which files the boot firmware of a Raspberry Pi takes from the
// boot partition: config.txt or tryboot.txt, its filters, os_prefix and what is silently
// ignored. It decides nothing else: nobody boots in here.
//
// It is pure: a file system and a model in, names of files out. The boot partition may be a
// stranger's, so a configuration has a limit. What it does not model and what would change the
// choice (include, an unknown option of the kind) is an error and no guess.
//
// Sources: Raspberry Pi documentation, "config.txt" (filters, boot options, os_prefix) and
// "Raspberry Pi boot EEPROM" (tryboot). That a Zero 2 W ignores the tryboot flag was measured by
// others. Nothing of it was tried on hardware by us.
package pifirmware

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Files that the boot firmware looks for by name.
const (
	ConfigName  = "config.txt"
	TrybootName = "tryboot.txt"
)

// ErrNoBoot means that the boot firmware would stop, with its LED blinking: only somebody with a
// finger on the power switch helps.
var ErrNoBoot = errors.New("the boot firmware stops here")

// A Selection is what the boot firmware loads. Names are paths on the boot partition, "" for none.
type Selection struct {
	Config    string // config.txt or tryboot.txt
	Tryboot   bool   // of a trial: what /chosen/bootloader/tryboot says
	Prefix    string // os_prefix, once it passed the test; "" if it was ignored
	Kernel    string
	Cmdline   string
	Initramfs string
	DTB       string
	Overlays  []string // in the order in which they are applied

	// WatchdogTimeout is after how many seconds the board is reset unless the kernel has taken the
	// watchdog over; 0 if nobody watches.
	WatchdogTimeout int
	// Ignored says what was set and silently left out, for a log: no LED says it.
	Ignored []string
}

// Select says what the firmware of a model loads. tryboot is the one-shot flag, which a reset may
// carry and a power on never does; a model whose firmware ignores it boots as without. An error wraps
// ErrNoBoot, or is about the partition.
func Select(boot fs.FS, m Model, tryboot bool) (Selection, error) {
	s := Selection{Config: ConfigName, Tryboot: tryboot && m.Tryboot}
	if s.Tryboot {
		s.Config = TrybootName
	}
	text, err := readConfig(boot, s.Config)
	if err != nil {
		return s, err
	}
	o, err := parse(text, m, s.Tryboot)
	if err != nil {
		return s, fmt.Errorf("%s: %w", s.Config, err)
	}
	s.Ignored = o.unknown
	if err := checkStage2(boot, m, o); err != nil {
		return s, err
	}
	s.WatchdogTimeout = o.watchdog
	return s, s.choose(boot, m, o)
}

// choose finds the files of the operating system.
func (s *Selection) choose(boot fs.FS, m Model, o options) error {
	kernel, dtb := m.kernel(boot, o), m.deviceTree(o)
	s.Prefix = o.prefix
	if s.Prefix != "" && !(isFile(boot, prefixed(s.Prefix, kernel)) && isFile(boot, prefixed(s.Prefix, dtb))) {
		s.ignore("os_prefix=%s: not both %s and %s are there", s.Prefix, prefixed(s.Prefix, kernel),
			prefixed(s.Prefix, dtb))
		s.Prefix = ""
	}
	s.Kernel, s.DTB = prefixed(s.Prefix, kernel), prefixed(s.Prefix, dtb)
	if !isFile(boot, s.Kernel) {
		return fmt.Errorf("%s: kernel %q is not there: %w", s.Config, s.Kernel, ErrNoBoot)
	}
	if !isFile(boot, s.DTB) {
		s.ignore("device tree %s: not there", s.DTB)
		s.DTB = ""
	}
	if s.Cmdline = prefixed(s.Prefix, o.cmdline); !isFile(boot, s.Cmdline) {
		s.ignore("command line %s: not there", s.Cmdline)
		s.Cmdline = ""
	}
	if o.initramfs != "" {
		if s.Initramfs = prefixed(s.Prefix, o.initramfs); !isFile(boot, s.Initramfs) {
			s.ignore("initramfs %s: not there", s.Initramfs)
			s.Initramfs = ""
		}
	}
	s.chooseOverlays(boot, o)
	return nil
}

// chooseOverlays takes them from below the prefix only if a README lies there.
func (s *Selection) chooseOverlays(boot fs.FS, o options) {
	folder := o.overlayPrefix
	if s.Prefix != "" {
		if own := s.Prefix + o.overlayPrefix; isFile(boot, own+"README") {
			folder = own
		} else {
			s.ignore("os_prefix=%s for overlays: %sREADME is not there", s.Prefix, own)
		}
	}
	for _, name := range o.overlays {
		file := prefixed(folder, name+".dtbo")
		if !isFile(boot, file) {
			s.ignore("overlay %s: not there", file)
			continue
		}
		s.Overlays = append(s.Overlays, file)
	}
}

func (s *Selection) ignore(format string, args ...any) {
	s.Ignored = append(s.Ignored, fmt.Sprintf(format, args...))
}

// prefixed puts the prefix before a name. It is a string and no folder: "b" instead of "b/" gives
// bvmlinuz. A name that begins with a slash is meant as it stands.
func prefixed(prefix, name string) string {
	if strings.HasPrefix(name, "/") {
		return strings.TrimPrefix(name, "/")
	}
	return prefix + name
}

// isFile takes any text for a name: what no file system would open is not there.
func isFile(boot fs.FS, name string) bool {
	name = path.Clean(name)
	if !fs.ValidPath(name) {
		return false
	}
	info, err := fs.Stat(boot, name)
	return err == nil && info.Mode().IsRegular()
}
