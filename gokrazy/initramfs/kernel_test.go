// Against modprobe, on a real kernel package: the one of board bbb.

package initramfs

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// kernelPackage gives the folder /lib/modules of the kernel that board bbb has, and the
// release.
func kernelPackage(t *testing.T) (folder, release string) {
	t.Helper()
	flags := strings.Fields(tool(t, "", nil, "../../scripts/parts", "bbb"))
	folder = filepath.Join(flags[slices.Index(flags, "--kernel")+1], "lib/modules")
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Fatalf("releases in %s: %v, %v", folder, entries, err)
	}
	return folder, entries[0].Name()
}

func TestLoadOrderIsModprobes(t *testing.T) {
	folder, release := kernelPackage(t)
	// depmod writes its lists beside the modules: here they are links.
	base := t.TempDir()
	ours := filepath.Join(base, "lib/modules", release)
	if err := os.MkdirAll(ours, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"kernel", "modules.builtin", "modules.builtin.modinfo", "modules.order"} {
		if err := os.Symlink(filepath.Join(folder, release, name), filepath.Join(ours, name)); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, "", nil, "/sbin/depmod", "-b", base, release)
	tree, err := readTree(os.DirFS(ours))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for name := range tree.paths {
		all = append(all, name)
	}
	slices.Sort(all)
	// not btrfs: of several softdep fields modprobe reads one
	asked := []string{"ext4", "uvcvideo", "ti_cpsw_new", "sdhci-omap", "musb_dsps", "xfs", "cifs"}
	for i := 0; i < len(all); i += 150 { // modprobe takes 10 ms
		asked = append(asked, all[i])
	}
	for _, name := range asked {
		order := &loadOrder{tree: tree, seen: map[string]bool{}}
		if err := order.addRequested(name); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var theirs []string
		for line := range strings.Lines(tool(t, "", nil, "/sbin/modprobe", "-d", base, "-S", release,
			"--show-depends", "--ignore-install", name)) {
			if file, ok := strings.CutPrefix(line, "insmod "); ok {
				theirs = append(theirs, strings.TrimPrefix(strings.Fields(file)[0], ours+"/"))
			}
		}
		compare(t, name, order.modules, theirs)
	}
	t.Logf("%d of %d modules asked for", len(asked), len(all))
}

// compare allows one difference: of several modules for one alias we take the portable
// one, modprobe takes those for other processors as well.
func compare(t *testing.T, name string, modules []module, theirs []string) {
	t.Helper()
	var loaded []string
	for _, m := range modules {
		for _, need := range m.info.Depends {
			if !slices.Contains(loaded, need) {
				t.Errorf("%s: %s comes before %s, which it needs", name, m.path, need)
			}
		}
		file, _ := moduleName(m.path)
		loaded = append(loaded, file)
		if !slices.Contains(theirs, m.path) {
			t.Errorf("%s: %s goes in, modprobe does not load it", name, m.path)
		}
	}
	for _, file := range theirs {
		if module, _ := moduleName(file); !slices.Contains(loaded, module) && !strings.HasPrefix(file, "kernel/arch/") {
			t.Errorf("%s: modprobe loads %s, which does not go in", name, path.Base(file))
		}
	}
}
