// The examples of camctl on the pages: each must be a right command line.

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// blockExample is a line of a block of code. What camctl prints has a word in capitals: camctl RECEIVE.
	blockExample = regexp.MustCompile(`^(?:sudo )?(?:out/)?camctl ([a-z].*)`)
	// imageExample is one, too: scripts/image hands its flags on to camctl image.
	imageExample = regexp.MustCompile(`^(?:\./)?scripts/image (?:rpi|bbb)( --.*)?`)
	spanExample  = regexp.MustCompile("`(?:sudo )?(?:out/)?camctl ([a-z][^`]*)`")
	flagExample  = regexp.MustCompile(`--([a-z][a-z-]*)`)
	comment      = regexp.MustCompile(`\s#.*`)
)

// examples lists the arguments of camctl in a text: whole command lines, and what sentences name of one.
func examples(text string) (lines, parts []string) {
	block := false
	for line := range strings.Lines(text) {
		line = comment.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
		if strings.HasPrefix(line, "```") {
			block = !block
		} else if m := blockExample.FindStringSubmatch(line); block && m != nil {
			lines = append(lines, m[1])
		} else if m := imageExample.FindStringSubmatch(line); block && m != nil {
			lines = append(lines, "image --board rpi -o rpi.img"+m[1])
		}
		if !block {
			for _, m := range spanExample.FindAllStringSubmatch(line, -1) {
				parts = append(parts, m[1])
			}
		}
	}
	return lines, parts
}

// checkExample parses arguments and runs nothing. A part of a command line may lack what a whole one needs.
func checkExample(example string, whole bool) error {
	cmd, rest, err := newRootCommand(new(bool)).Find(strings.Fields(example))
	if err != nil {
		return err
	}
	cmd.InitDefaultHelpFlag() // cobra adds it only when it runs
	if !whole {
		for _, m := range flagExample.FindAllStringSubmatch(example, -1) {
			if cmd.Flags().Lookup(m[1]) == nil {
				return fmt.Errorf("no flag --%s", m[1])
			}
		}
		return nil
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}

func TestPagesShowRightCommandLines(t *testing.T) {
	const top = "../../../"
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(top + pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	with := map[string]int{} // whole command lines, by page
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(file, top)
		lines, parts := examples(string(text))
		with[name] = len(lines)
		for _, line := range lines {
			if err := checkExample(line, true); err != nil {
				t.Errorf("%s: camctl %s: %v", name, line, err)
			}
		}
		for _, part := range parts {
			if err := checkExample(part, false); err != nil {
				t.Errorf("%s: camctl %s: %v", name, part, err)
			}
		}
	}
	for _, name := range []string{
		"docs/quick-start-raspberry-pi.md", "docs/updates.md", "docs/fleet.md", "docs/vm.md",
	} {
		if with[name] < 2 {
			t.Errorf("%d examples found in %s, but %v", with[name], name, with)
		}
	}
}

func TestWrongExamplesAreFound(t *testing.T) {
	for _, line := range []string{
		"flush out/rpi.img /dev/sdX", "flash", "flash out/rpi.img /dev/sdX --sead a", "bundle --board rpi",
		"update cam --at-once many",
	} {
		if checkExample(line, true) == nil {
			t.Errorf("camctl %s is taken", line)
		}
	}
	for _, part := range []string{"flush", "flash --sead FILE"} {
		if checkExample(part, false) == nil {
			t.Errorf("camctl %s is taken", part)
		}
	}
}
