// Load order: each module behind all that it needs, as modprobe would do it.
// Source: kmod, libkmod-module.c (kmod_module_get_probe_list).

package initramfs

import (
	"fmt"
	"slices"
	"strings"
)

// A loadOrder grows by the modules that are asked for.
type loadOrder struct {
	tree    *tree
	seen    map[string]bool // names that are in, on their way in, or built in
	modules []module
	builtIn []string
}

// addRequested adds a module by the name that the board's list has.
func (o *loadOrder) addRequested(name string) error {
	name = kernelName(name)
	if _, file := o.tree.paths[name]; !file && o.tree.builtIn[name] {
		o.builtIn = append(o.builtIn, name)
		return nil
	}
	return o.addModule(name)
}

// addModule adds a module behind what it needs. A circle ends where it began: the kernel
// has none among depends=, and of a soft one modprobe too keeps the order of arrival.
func (o *loadOrder) addModule(name string) error {
	if o.seen[name] {
		return nil
	}
	if len(o.seen) >= maxModules {
		return fmt.Errorf("module %s: more than %d modules: %w", name, maxModules, ErrDamaged)
	}
	o.seen[name] = true
	m, err := o.tree.readModule(name)
	if err != nil {
		return err
	}
	for _, need := range m.info.Depends {
		if _, file := o.tree.paths[need]; !file && o.tree.builtIn[need] {
			continue
		}
		if err := o.addModule(need); err != nil {
			return fmt.Errorf("module %s: needs %w", name, err)
		}
	}
	if err := o.addSoftDependencies(m.info.Before); err != nil {
		return err
	}
	o.modules = append(o.modules, m)
	return o.addSoftDependencies(m.info.After)
}

// addSoftDependencies adds modules by name or alias, if there are such. An alias of a module
// that is in already counts as provided.
func (o *loadOrder) addSoftDependencies(names []string) error {
	for _, name := range names {
		if o.isProvided(name) {
			continue
		}
		bearers := []string{name}
		if _, file := o.tree.paths[name]; !file {
			var err error
			if bearers, err = o.tree.modulesWithAlias(name); err != nil {
				return err
			}
		}
		for _, b := range preferPortable(bearers) {
			if err := o.addModule(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// preferPortable leaves the portable one of several modules for the same: crypto-crc32c, which
// ext4 asks for, is borne by crc32c_generic and by crc32_arm_ce, which the processors
// of our boards cannot run.
func preferPortable(bearers []string) []string {
	portable := slices.DeleteFunc(slices.Clone(bearers),
		func(b string) bool { return !strings.HasSuffix(b, "_generic") })
	if len(portable) > 0 {
		return portable
	}
	return bearers
}

func (o *loadOrder) isProvided(name string) bool {
	return o.seen[name] || o.tree.builtIn[name] || slices.ContainsFunc(o.modules, func(m module) bool {
		return slices.Contains(m.info.Aliases, name)
	})
}
