// The text of config.txt and tryboot.txt. No file is needed to test it: parse, FuzzParse.

package pifirmware

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxConfig is far more than any configuration has.
	maxConfig = 64 << 10
	// maxLine is how much of a line counts ("config.txt", "File format"): the rest is ignored.
	maxLine = 98
)

// options are the lines that choose files, as they are left after the filters.
type options struct {
	prefix        string
	overlayPrefix string
	kernel        string
	cmdline       string
	deviceTree    string
	initramfs     string
	startFile     string
	gpuMem        int
	overlays      []string // without .dtbo
	watchdog      int      // s
	unknown       []string
}

// errNotModelled is about a line that would change the choice in a way that nobody played yet.
var errNotModelled = errors.New("not modelled")

// readConfig reads a configuration. One that is not there has no lines, and no LED says so.
func readConfig(boot fs.FS, name string) (string, error) {
	info, err := fs.Stat(boot, name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if info.Size() > maxConfig {
		return "", fmt.Errorf("%s: %d bytes, looked at up to %d: %w", name, info.Size(), maxConfig, ErrNoBoot)
	}
	b, err := fs.ReadFile(boot, name)
	return string(b), err
}

// parse reads the lines that count for a model. Filters of different kinds add up, one of the same
// kind takes the place of the one before; [all] ends them, [none] ends everything up to the next
// [all].
func parse(text string, m Model, tryboot bool) (options, error) {
	o := options{overlayPrefix: "overlays/", cmdline: "cmdline.txt"}
	pass := filters{}
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimRight(line, "\r"); len(line) > maxLine {
			line = line[:maxLine]
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if name, ok := filterName(line); ok {
			if !pass.set(name, m, tryboot) {
				o.unknown = append(o.unknown, fmt.Sprintf("line %d: unknown filter [%s]", n+1, name))
			}
			continue
		}
		if pass.closed() {
			continue
		}
		if err := o.set(line); err != nil {
			return o, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return o, nil
}

func filterName(line string) (name string, ok bool) {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "[") || !strings.HasSuffix(line, "]") {
		return "", false
	}
	return strings.ToLower(line[1 : len(line)-1]), true
}

// filters are the conditions that the next line stands under.
type filters struct{ model, boot, none, unknown bool } // each: does not let through

func (f *filters) closed() bool { return f.model || f.boot || f.none || f.unknown }

// set takes a filter and says whether it is known. An unknown one lets nothing through: that is the
// worse case for an image that wants a line to count.
func (f *filters) set(name string, m Model, tryboot bool) bool {
	switch {
	case name == "all":
		*f = filters{}
	case name == "none":
		f.none = true
	case name == "tryboot":
		f.boot = !tryboot
	case isModelFilter(name):
		f.model = !slices.Contains(m.Filters, name)
	default:
		f.unknown = true
		return false
	}
	return true
}

// isModelFilter knows the filters of the documentation that ask for a model.
func isModelFilter(name string) bool {
	switch name {
	case "pi0", "pi0w", "pi02", "pi1", "pi2", "pi3", "pi3+", "pi4", "pi400", "pi5", "pi500",
		"cm0", "cm1", "cm3", "cm3+", "cm4", "cm4s", "cm5":
		return true
	}
	return false
}

// set takes a line. The name ends at the first "=", and blanks around it belong to nothing: the
// firmware does not leave them out.
func (o *options) set(line string) error {
	if name, ok := strings.CutPrefix(line, "initramfs "); ok { // the one option without "="
		o.initramfs, _, _ = strings.Cut(strings.TrimSpace(name), " ")
		return nil
	}
	if strings.HasPrefix(line, "include ") {
		return fmt.Errorf("%q: %w", line, errNotModelled)
	}
	name, value, _ := strings.Cut(line, "=")
	value = strings.TrimRight(value, " \t")
	switch name {
	case "os_prefix":
		o.prefix = value
	case "overlay_prefix":
		o.overlayPrefix = value
	case "kernel":
		o.kernel = value
	case "cmdline":
		o.cmdline = value
	case "device_tree":
		o.deviceTree = value
	case "start_file":
		o.startFile = value
	case "dtoverlay":
		o.addOverlay(value)
	case "gpu_mem":
		return setNumber(&o.gpuMem, name, value)
	case "kernel_watchdog_timeout":
		return setNumber(&o.watchdog, name, value)
	case "ramfsfile", "auto_initramfs", "start_x", "start_debug", "kernel_watchdog_partition", "boot_ramdisk":
		if value != "0" {
			return fmt.Errorf("%q: %w", line, errNotModelled)
		}
	}
	return nil
}

// addOverlay takes "name,parameter=value"; an empty value ends the scope of parameters only.
func (o *options) addOverlay(value string) {
	if name, _, _ := strings.Cut(value, ","); name != "" {
		o.overlays = append(o.overlays, name)
	}
}

func setNumber(to *int, name, value string) error {
	n, err := strconv.ParseUint(strings.TrimSpace(value), 0, 16)
	if err != nil {
		return fmt.Errorf("%s=%q: %w", name, value, err)
	}
	*to = int(n)
	return nil
}
