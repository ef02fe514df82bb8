// Package initramfs packs the archive that a kernel with its storage drivers in
// modules starts from: /init and the modules, in the order in which they load.
//
// It runs on the owner's machine, between the kernel package and package image,
// which puts the result on the boot partition; cmd/preinit is the /init that reads
// it on the board. It owns nothing. The bytes are a function of the input: no
// clock, no order of a map. What is read here comes from a distribution's package:
// sizes and counts have limits. Sizes are in bytes.
//
// Sources: Linux Documentation/driver-api/early-userspace/buffer-format.rst (newc),
// Documentation/kbuild/kbuild.rst (modules.builtin), include/linux/module.h
// (.modinfo), modprobe.d(5) (softdep).
package initramfs

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

const (
	// EarlyFolder and LateFolder hold the modules in the archive. Sorted by name
	// they are in load order: the names begin with a number.
	EarlyFolder = "early"
	LateFolder  = "late"
	// InitName is the program that the kernel starts.
	InitName = "init"

	// maxModules bounds the closure; the largest kernel package has 4,000 modules,
	// a board loads some 60 of them.
	maxModules = 500
	// maxModule bounds one module; Debian's largest are 3 MB.
	maxModule = 16 << 20
)

var (
	// ErrNoModule means that a module is neither a file nor built in.
	ErrNoModule = errors.New("no such module")
	// ErrDamaged is wrapped by every error about bytes that are not what their
	// format allows.
	ErrDamaged = errors.New("damaged or not of this format")
)

// A Config says what goes into an archive.
type Config struct {
	Init    []byte // the program; it runs before there is a loader, so it is static
	Modules fs.FS  // the kernel's folder /lib/modules/RELEASE
	// Early modules load before the root is looked for: the watchdog, storage, file
	// systems. Late ones load beside the init of the root. Names are as modprobe
	// takes them; what they need is found and need not be listed.
	Early, Late []string
}

// A Report says what went in. Early and Late are files below Config.Modules in load
// order.
type Report struct {
	Release  string // for which all modules were made, as uname -r says it
	Early    []string
	Late     []string
	BuiltIn  []string // asked for, but part of this kernel; not an error
	Unpacked int64    // bytes of memory until preinit frees it
	Packed   int64    // bytes written
}

// Build writes the gzipped archive. A module that is asked for or needed, but not
// there, is an ErrNoModule.
func Build(w io.Writer, c Config) (Report, error) {
	early, late, report, err := closure(c)
	if err != nil {
		return Report{}, fmt.Errorf("initramfs: %w", err)
	}
	packed := &counter{w: w}
	z, err := gzip.NewWriterLevel(packed, gzip.BestCompression)
	if err != nil {
		return Report{}, fmt.Errorf("initramfs: %w", err)
	}
	unpacked := &counter{w: z}
	if err := pack(unpacked, c.Init, early, late); err != nil {
		return Report{}, fmt.Errorf("initramfs: %w", err)
	}
	if err := z.Close(); err != nil {
		return Report{}, fmt.Errorf("initramfs: %w", err)
	}
	report.Unpacked, report.Packed = unpacked.n, packed.n
	return report, nil
}

// closure finds both lists. What an early module needs is early and not late again.
func closure(c Config) (early, late []module, r Report, err error) {
	tree, err := readTree(c.Modules)
	if err != nil {
		return nil, nil, Report{}, err
	}
	order := &loadOrder{tree: tree, seen: map[string]bool{}}
	for _, name := range c.Early {
		if err := order.addRequested(name); err != nil {
			return nil, nil, Report{}, err
		}
	}
	first := len(order.modules)
	for _, name := range c.Late {
		if err := order.addRequested(name); err != nil {
			return nil, nil, Report{}, err
		}
	}
	early, late = order.modules[:first], order.modules[first:]
	r.BuiltIn = order.builtIn
	for i, m := range order.modules {
		if r.Release == "" {
			r.Release = m.info.Release
		}
		if m.info.Release != r.Release {
			return nil, nil, Report{}, fmt.Errorf("module %s is made for kernel %s, others for %s: %w",
				m.path, m.info.Release, r.Release, ErrDamaged)
		}
		if i < first {
			r.Early = append(r.Early, m.path)
		} else {
			r.Late = append(r.Late, m.path)
		}
	}
	return early, late, r, nil
}

// pack writes the archive. The kernel opens /dev/console for /init before anything
// can mount /dev, so the node comes with the archive.
func pack(w io.Writer, init []byte, early, late []module) error {
	a := &archive{w: w}
	a.addFolder("dev")
	a.addDevice("dev/console", 0o600, 5, 1) // Documentation/admin-guide/devices.txt
	for _, mountPoint := range []string{"proc", "root", "sys"} {
		a.addFolder(mountPoint)
	}
	a.addFile(InitName, 0o755, init)
	for _, group := range []struct {
		folder  string
		modules []module
	}{{EarlyFolder, early}, {LateFolder, late}} {
		a.addFolder(group.folder)
		for i, m := range group.modules {
			a.addFile(fmt.Sprintf("%s/%03d-%s", group.folder, i, path.Base(m.path)), 0o444, m.bytes)
		}
	}
	return a.writeTrailer()
}

// A counter counts what passes.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
