// The default environment inside a U-Boot that is already built: texts name=value, each with a
// zero behind it, and one more zero at the end. It is changed in place: nothing moves, and what
// becomes free at its end is zeros.
// Spec: U-Boot's include/env_default.h.

package uboot

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrUnknownBuild means that a file is no U-Boot of a kind that Unattended can change.
var ErrUnknownBuild = errors.New("not a build of U-Boot that is known here")

// UnattendedChanges says what Unattended changes, as the GPL asks of whoever changes a file.
const UnattendedChanges = "default environment changed in place: bootdelay=-2 instead of 2, " +
	"bootcmd ends with a reset, boot_targets shortened, no preboot, no vendor"

// endCommand follows the build's own bootcmd: where nothing starts, the board begins anew. U-Boot
// would sit at its prompt for ever, and feed its watchdog meanwhile.
const endCommand = "; sleep 10; reset"

// Unattended gives a copy of U-Boot that starts without a person, from the given targets
// (such as "mmc0") and from nothing else. It waits for no key: -2 means that not even a key that
// was pressed already counts, as noise on a serial line without a cable does. It starts neither
// USB nor PCI before the script, and boots nothing from the network.
//
// The file is u-boot.bin, or u-boot.img as a FIT image, whose checksum is mended.
func Unattended(file []byte, targets string) ([]byte, error) {
	out := bytes.Clone(file)
	start, end, err := findEnvironment(out)
	if err != nil {
		return nil, err
	}
	env, found, err := unattendedEnvironment(string(out[start:end]), targets)
	if err != nil {
		return nil, err
	}
	if found < 3 {
		return nil, fmt.Errorf("environment without bootdelay, bootcmd or boot_targets: %w", ErrUnknownBuild)
	}
	if len(env) > end-start {
		return nil, fmt.Errorf("environment of %d bytes, there is room for %d: %w", len(env), end-start,
			ErrUnknownBuild)
	}
	clear(out[start:end])
	copy(out[start:], env)
	if !isFIT(out) {
		return out, nil
	}
	if err := mendFIT(out, start, end); err != nil {
		return nil, err
	}
	return out, nil
}

// bootDelay is in every build of Debian's, once in each environment.
const bootDelay = "\x00bootdelay=2\x00"

// findEnvironment gives the place of the variables, the zero of the last one included.
func findEnvironment(b []byte) (start, end int, err error) {
	at := bytes.Index(b, []byte(bootDelay))
	if at < 0 || bytes.Contains(b[at+1:], []byte(bootDelay)) {
		return 0, 0, fmt.Errorf("want one text bootdelay=2 in it: %w", ErrUnknownBuild)
	}
	for start = at + 1; ; { // back to the first variable
		before := bytes.LastIndexByte(b[:start-1], 0) + 1
		if before == 0 || !isVariable(b[before:start-1]) {
			break
		}
		start = before
	}
	length := bytes.Index(b[at:], []byte{0, 0})
	if length < 0 {
		return 0, 0, fmt.Errorf("environment without an end: %w", ErrUnknownBuild)
	}
	return start, at + length + 1, nil
}

// isVariable tells name=value from the other texts around it.
func isVariable(b []byte) bool {
	name, _, ok := bytes.Cut(b, []byte("="))
	return ok && len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// unattendedEnvironment changes the variables and counts those that it had to find.
func unattendedEnvironment(env, targets string) (changed string, found int, err error) {
	variables := strings.Split(strings.TrimSuffix(env, "\x00"), "\x00")
	variables = slices.DeleteFunc(variables, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return name == "preboot" || name == "vendor" // nothing reads vendor: its room is for the rest
	})
	for i, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "bootdelay":
			value = "-2"
		case "bootcmd":
			value += endCommand
		case "boot_targets":
			for _, t := range strings.Fields(targets) {
				if !slices.Contains(strings.Fields(value), t) {
					return "", 0, fmt.Errorf("boot_targets=%s has no %s: %w", value, t, ErrUnknownBuild)
				}
			}
			value = targets
		default:
			continue
		}
		variables[i] = name + "=" + value
		found++
	}
	return strings.Join(variables, "\x00") + "\x00", found, nil
}
