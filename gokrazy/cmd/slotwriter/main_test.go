package main

import (
	"strings"
	"testing"
)

func TestArgumentsThatDoNotFitAreRefused(t *testing.T) {
	const card = "--disk /dev/x --running a --board rpi"
	for args, want := range map[string]string{
		card + " --spool /s":                               "",
		card + " --root /r --json":                         "",
		card:                                               "one of --spool and --root",
		card + " --spool /s --root /r":                     "one of --spool and --root",
		"--running a --board rpi --spool /s":               "wants --disk",
		"--disk /dev/x --board rpi --spool /s":             `slot ""`,
		"--disk /dev/x --running c --board rpi --spool /s": `slot "c"`,
		"--disk /dev/x --running a --board pi --spool /s":  `unknown board "pi"`,
		card + " --spool /s more":                          `unexpected argument "more"`,
		card + " --spool /s --other":                       "not defined",
	} {
		_, err := parseArguments(strings.Fields(args))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
