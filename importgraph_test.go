// Who imports whom, as the go command lists it, and which paths break a rule of imports_test.go.

package krazycam_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/krazycam/krazycam"

// A goBuild is one way to build the tree: system, processor and tags choose files, and with
// them imports.
type goBuild struct{ os, arch, tags string }

func (b goBuild) String() string {
	return strings.TrimSuffix(b.os+"/"+b.arch+" "+b.tags, " ")
}

// An importGraph holds the direct imports of each package. Packages of ours are named by
// folder, such as ./v4l2.
type importGraph map[string][]string

// listImports lists our packages and all that they depend on. Nothing is compiled.
func listImports(t *testing.T, b goBuild) importGraph {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Standard,CgoFiles", "-tags", b.tags, "./...")
	cgo := "1"
	if b.os != "linux" { // much of the tree is for Linux alone, and what is not is built without cgo
		cmd.Args = slices.Insert(cmd.Args, 2, "-e")
		cgo = "0"
	}
	cmd.Env = append(os.Environ(), "GOOS="+b.os, "GOARCH="+b.arch, "CGO_ENABLED="+cgo)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	g, err := readImports(out)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return g
}

// readImports reads what go list -json prints: one object for each package.
func readImports(r io.Reader) (importGraph, error) {
	g := importGraph{}
	for d := json.NewDecoder(r); ; {
		var p struct {
			ImportPath string
			Imports    []string
			CgoFiles   []string
			Standard   bool
		}
		if err := d.Decode(&p); err == io.EOF {
			return g, nil
		} else if err != nil {
			return nil, err
		}
		var imports []string
		for _, i := range p.Imports {
			if i != "C" || !p.Standard { // package net's cgo is left out of a build without cgo
				imports = append(imports, folderName(i))
			}
		}
		g[folderName(p.ImportPath)] = imports
	}
}

// folderName names a package of ours by its folder.
func folderName(path string) string {
	if rest, ok := strings.CutPrefix(path, module+"/"); ok {
		return "./" + rest
	}
	return path
}

// matchesAny says whether a package fits one of the patterns.
func matchesAny(patterns, pkg string) bool {
	for _, p := range strings.Fields(patterns) {
		folder, all := strings.CutSuffix(p, "/...")
		if pkg == folder || all && strings.HasPrefix(pkg, folder+"/") {
			return true
		}
	}
	return false
}

// violations says which paths break rules: "./a -> ./b -> net: reason", in a stable order.
func (g importGraph) violations(rules []importRule) []string {
	var found []string
	for _, r := range rules {
		for _, pkg := range slices.Sorted(maps.Keys(g)) {
			if !matchesAny(r.of, pkg) || matchesAny(r.except, pkg) {
				continue
			}
			importers := g.importers(pkg, r.direct)
			for _, dep := range slices.Sorted(maps.Keys(importers)) {
				if dep != pkg && matchesAny(r.ban, dep) && !matchesAny(r.allow, dep) {
					found = append(found, fmt.Sprintf("%s: %s", importPath(importers, dep), r.reason))
				}
			}
		}
	}
	return found
}

// importers walks the imports of from, breadth first, and says through which package each one
// was found first; direct ends the walk after the first step.
func (g importGraph) importers(from string, direct bool) map[string]string {
	found := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, dep := range g[queue[0]] {
			if _, known := found[dep]; known {
				continue
			}
			found[dep] = queue[0]
			if !direct {
				queue = append(queue, dep)
			}
		}
	}
	return found
}

// importPath writes the way to a package that importers found.
func importPath(importers map[string]string, pkg string) string {
	path := pkg
	for pkg = importers[pkg]; pkg != ""; pkg = importers[pkg] {
		path = pkg + " -> " + path
	}
	return path
}

// deadPatterns lists the patterns of ours that fit no package in any build, so that their rule
// keeps nobody from anything. What is left out or allowed may be missing: it only makes a rule
// stricter.
func deadPatterns(graphs []importGraph, rules []importRule) []string {
	packages := importGraph{}
	for _, g := range graphs {
		maps.Copy(packages, g)
	}
	var dead []string
	for _, r := range rules {
		for _, p := range strings.Fields(r.of + " " + r.ban) {
			alive := func(pkg string) bool { return matchesAny(p, pkg) }
			if strings.HasPrefix(p, "./") && !slices.ContainsFunc(slices.Collect(maps.Keys(packages)), alive) {
				dead = append(dead, p)
			}
		}
	}
	return dead
}
