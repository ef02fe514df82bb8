// The section .modinfo of a kernel module: what it needs, what else it is called,
// for which kernel it was made. Test with fuzzed modules: FuzzParseModinfo.
// Source: Linux include/linux/moduleparam.h (__MODULE_INFO), module.h (MODULE_SOFTDEP).

package initramfs

import (
	"bytes"
	"debug/elf"
	"fmt"
	"strings"
)

// maxModinfo bounds the section; the longest of Debian's kernel, full of aliases,
// has 70 kB.
const maxModinfo = 1 << 20

// A Modinfo is what a module says of itself. Names are in the kernel's form, with
// _ for -.
type Modinfo struct {
	Release string   // of the kernel it was made for
	Depends []string // modules without whose symbols it does not load
	Before  []string // modules or aliases to load first, if there are such
	After   []string // the same, to load after it
	Aliases []string // without those that have wildcards
}

// ParseModinfo reads the bytes of a module.
func ParseModinfo(b []byte) (info Modinfo, err error) {
	defer func() { // debug/elf is not made for damaged files
		if thrown := recover(); thrown != nil {
			err = fmt.Errorf("module: %v: %w", thrown, ErrDamaged)
		}
	}()
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return Modinfo{}, fmt.Errorf("module: %w: %w", err, ErrDamaged)
	}
	section := f.Section(".modinfo")
	if section == nil || section.Size > maxModinfo {
		return Modinfo{}, fmt.Errorf("module: no section .modinfo of at most %d bytes: %w", maxModinfo, ErrDamaged)
	}
	data, err := section.Data()
	if err != nil {
		return Modinfo{}, fmt.Errorf("module: .modinfo: %w: %w", err, ErrDamaged)
	}
	for field := range bytes.SplitSeq(data, []byte{0}) {
		info.addField(string(field))
	}
	if info.Release == "" {
		return Modinfo{}, fmt.Errorf("module: no vermagic in .modinfo: %w", ErrDamaged)
	}
	return info, nil
}

// addField takes one "key=value". Unknown keys are descriptions and parameters.
func (i *Modinfo) addField(field string) {
	key, value, _ := strings.Cut(field, "=")
	switch key {
	case "vermagic": // "6.1.0-50-armmp SMP mod_unload modversions ARMv7 p2v8"
		i.Release, _, _ = strings.Cut(value, " ")
	case "depends": // "usbcore,mc"
		for name := range strings.SplitSeq(value, ",") {
			if name != "" {
				i.Depends = append(i.Depends, kernelName(name))
			}
		}
	case "alias":
		if !strings.ContainsAny(value, "*?[") {
			i.Aliases = append(i.Aliases, kernelName(value))
		}
	case "softdep":
		i.addSoftDependencies(value)
	}
}

// addSoftDependencies takes "pre: a b post: c". Words before the first mark mean nothing to
// modprobe either.
func (i *Modinfo) addSoftDependencies(value string) {
	var list *[]string
	for _, word := range strings.Fields(value) {
		switch word {
		case "pre:":
			list = &i.Before
		case "post:":
			list = &i.After
		default:
			if list != nil {
				*list = append(*list, kernelName(word))
			}
		}
	}
}

// kernelName is a name as the kernel spells it: files and people use - as well.
func kernelName(s string) string { return strings.ReplaceAll(s, "-", "_") }
