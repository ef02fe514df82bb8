// What a VM boots from: Debian's kernel, modules in load order, a cpio archive.

package v4l2

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/farend/need"
)

// debianKernel returns the kernel image and the wanted modules with all they depend on,
// in load order, out of the cache; the first time it fetches the package.
func debianKernel(t *testing.T, m machine, wanted ...string) (kernel string, modules []string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "krazycam", "kernels")
	cache = filepath.Join(cache, m.debian)
	images := filepath.Join(cache, "linux-image-*", "boot", "vmlinuz-*")
	found, _ := filepath.Glob(images)
	if len(found) == 0 {
		fetchKernel(t, cache, m)
		found, _ = filepath.Glob(images)
	}
	if len(found) == 0 {
		t.Fatalf("no kernel in %s", cache)
	}
	kernel = slices.Max(found)
	return kernel, loadOrder(t, filepath.Join(filepath.Dir(kernel), "..", "lib", "modules"), wanted)
}

// fetchKernel unpacks the present kernel package of Debian beside its final place and
// renames it, so that an interrupted run leaves nothing half done.
func fetchKernel(t *testing.T, cache string, m machine) {
	t.Helper()
	need.Tools(t, "apt-get", "apt-cache", "dpkg")
	depends := run(t, "", nil, "apt-cache", "depends", "--important", m.image+":"+m.debian)
	_, name, ok := strings.Cut(depends, "Depends: ")
	if !ok {
		t.Fatalf("%s depends on no package:\n%s", m.image, depends)
	}
	name, _, _ = strings.Cut(strings.Fields(name)[0], ":")
	t.Logf("fetching %s, 70 MB, into %s", name, cache)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	temp, err := os.MkdirTemp(cache, "unpack")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	run(t, temp, nil, "apt-get", "download", name+":"+m.debian)
	debs, _ := filepath.Glob(filepath.Join(temp, "*.deb"))
	if len(debs) != 1 {
		t.Fatalf("apt-get download left %v", debs)
	}
	run(t, temp, nil, "dpkg", "-x", debs[0], "root")
	if err := os.Rename(filepath.Join(temp, "root"), filepath.Join(cache, name)); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}

// loadOrder lists module files so that each stands behind those it depends on.
func loadOrder(t *testing.T, root string, wanted []string) []string {
	t.Helper()
	files := map[string]string{} // by the kernel's name, which has _ for -
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(filepath.Base(path), ".ko"); ok {
			files[strings.ReplaceAll(name, "-", "_")] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	var visit func(name string)
	visit = func(name string) {
		path, ok := files[strings.ReplaceAll(name, "-", "_")]
		if !ok {
			t.Fatalf("module %s: not in %s", name, root)
		}
		if slices.Contains(order, path) {
			return
		}
		for _, d := range moduleDepends(t, path) {
			visit(d)
		}
		order = append(order, path)
	}
	for _, name := range wanted {
		visit(name)
	}
	return order
}

// moduleDepends reads the line "depends=a,b" of a module's section .modinfo.
func moduleDepends(t *testing.T, path string) []string {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	section := f.Section(".modinfo")
	if section == nil {
		t.Fatalf("%s: no section .modinfo", path)
	}
	info, err := section.Data()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(info, []byte{0}) {
		if list, ok := strings.CutPrefix(string(line), "depends="); ok && list != "" {
			return strings.Split(list, ",")
		}
	}
	return nil
}

// writeInitrd writes an archive with init, a console, other programs, and the modules in order.
func writeInitrd(t *testing.T, path, init string, modules, programs []string) {
	t.Helper()
	var archive bytes.Buffer
	const directory, program, file, device = 0o040755, 0o100755, 0o100644, 0o020600
	cpio(&archive, "dev", directory, 0, nil)
	cpio(&archive, "dev/console", device, 5<<8|1, nil)
	cpio(&archive, "modules", directory, 0, nil)
	var order strings.Builder
	for _, m := range modules {
		fmt.Fprintln(&order, filepath.Base(m))
		cpio(&archive, "modules/"+filepath.Base(m), file, 0, read(t, m))
	}
	cpio(&archive, "modules/order", file, 0, []byte(order.String()))
	cpio(&archive, "init", program, 0, read(t, init))
	for _, p := range programs {
		cpio(&archive, filepath.Base(p), program, 0, read(t, p))
	}
	cpio(&archive, "TRAILER!!!", 0, 0, nil)
	if err := os.WriteFile(path, archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cpio adds one entry in the format "newc" (Documentation/driver-api/early-userspace
// of the kernel, buffer-format): 13 numbers of 8 hexadecimal digits, name, content,
// each filled up to a multiple of 4.
func cpio(w *bytes.Buffer, name string, mode, device int, content []byte) {
	fmt.Fprintf(w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		0, mode, 0, 0, 1, 0, len(content), 0, 0, device>>8, device&0xff, len(name)+1, 0)
	w.WriteString(name)
	w.Write(make([]byte, 4-w.Len()%4)) // at least the name's own NUL
	w.Write(content)
	w.Write(make([]byte, (4-w.Len()%4)%4))
}
