// A file that somebody else named is opened by firmware/openfile, which never waits and has
// limits. What opens by itself stands here, with the reason.

package krazycam_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// opening are the calls that open a file by its name, by package and function.
func opening() map[string][]string {
	return map[string][]string{
		"os": {"Open", "OpenFile", "ReadFile", "Create", "WriteFile", "OpenInRoot", "Truncate"}, "ioutil": {"ReadFile"},
		"syscall": {"Open", "Openat"}, "unix": {"Open", "Openat", "Openat2"}, "tls": {"LoadX509KeyPair"},
	}
}

// opensItself are the files that may, and why nobody else's name gets there.
func opensItself() map[string]string {
	const kernels = "the kernel's own file: it neither waits nor is long"
	const lab = "a lab for developers, which names its files itself"
	return map[string]string{
		"firmware/openfile/openfile.go":               "this is what opens",
		"firmware/atomicfile/atomicfile.go":           "opens a folder, to sync it",
		"firmware/cmd/camsource/board_gokrazy.go":     "the console, which must block: its comment says why",
		"firmware/cmd/camweb/start.go":                "the console, which must block; its own folders",
		"firmware/machine/health.go":                  "/dev/kmsg, opened without waiting",
		"firmware/machine/monitor_linux.go":           kernels,
		"firmware/machine/wake_linux.go":              kernels,
		"firmware/rescue.go":                          "a file in init's folder, which is camsource's own",
		"v4l2/usb/remedies.go":                        kernels + "; in a test, a file in a folder of the test",
		"v4l2/usb/usb.go":                             kernels,
		"farend/webm/writing.go":                      "O_EXCL opens nothing that is there",
		"farend/need/terminal_linux.go":               "terminals, which are meant",
		"gokrazy/cmd/camctl/keyfile.go":               "O_EXCL opens nothing that is there",
		"gokrazy/flash/drive/device_darwin.go":        "a disk by the system's name, which is meant",
		"gokrazy/vm/copy.go":                          "O_EXCL opens nothing that is there",
		"gokrazy/vm/boot.go":                          "writes into a folder that it has just made",
		"gokrazy/vm/devicetree.go":                    "in a folder that the VM has just made",
		"gokrazy/vm/record.go":                        "O_EXCL opens nothing that is there; else the VM's folder",
		"gokrazy/rig/testdata/fault/main.go":          "a guest of a test",
		"gokrazy/cmd/dhcp/apply.go":                   kernels,
		"gokrazy/perm/room.go":                        "the folder that the kernel is to grow, by process 1's own name",
		"gokrazy/cmd/init/watchdog.go":                "the watchdog's device, which is meant",
		"gokrazy/cmd/ntp/rtc.go":                      "the clock's device, which is meant",
		"gokrazy/cmd/preinit/modules.go":              "the initramfs, which the kernel has checked and unpacked",
		"gokrazy/cmd/preinit/root.go":                 "block devices by the kernel's names",
		"gokrazy/cmd/preinit/testdata/memory/main.go": "a guest of a test",
		"gokrazy/image/imagetest/imagetest.go":        "for tests, into folders of theirs",
		"gokrazy/image/imagetest/bone.go":             "for tests, out of the tree",
		"gokrazy/image/imagetest/program.go":          "for tests, into folders of theirs",
		"gokrazy/rig/testdata/guest/main.go":          "a guest of a test",
		"farend/losslab/clip.go":                      lab,
		"farend/losslab/namespaces.go":                lab,
		"farend/losslab/process.go":                   lab,
		"farend/losslab/record.go":                    lab,
		"farend/losslab/reference.go":                 lab,
		"farend/cmd/losslab/main.go":                  lab,
	}
}

// packaging is a module of its own, which cannot import openfile: tools of whoever makes a release,
// with files that the release names itself.
var packaging = filepath.FromSlash("scripts/packaging")

func TestFilesThatOthersNameAreOpenedByOpenfile(t *testing.T) {
	allowed := opensItself()
	unused := maps.Clone(allowed)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "out" || strings.HasPrefix(d.Name(), ".") && path != "."):
			return fs.SkipDir
		case d.IsDir() && path == packaging:
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		path = filepath.ToSlash(path)
		for _, call := range opensIn(t, path) {
			delete(unused, path)
			if _, ok := allowed[path]; !ok {
				t.Errorf("%s: use firmware/openfile, or say here why not", call)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path := range unused {
		t.Errorf("%s opens nothing by itself any more: take it off the list", path)
	}
}

// opensIn lists the calls in a file that open by name. A name under /proc or /sys that stands in
// the source is the kernel's.
func opensIn(t *testing.T, path string) (calls []string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		function, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		from, ok := function.X.(*ast.Ident)
		if !ok || !slices.Contains(opening()[from.Name], function.Sel.Name) {
			return true
		}
		if name, ok := call.Args[0].(*ast.BasicLit); ok &&
			(strings.HasPrefix(name.Value, `"/proc/`) || strings.HasPrefix(name.Value, `"/sys/`)) {
			return true
		}
		calls = append(calls, set.Position(call.Pos()).String()+": "+from.Name+"."+function.Sel.Name)
		return true
	})
	return calls
}
