// What `go doc` prints first: each package has one package comment.

package krazycam_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEachPackageHasOnePackageComment(t *testing.T) {
	for _, pkg := range ourFolders(t) {
		if complaint := judgePackageComment(packageComments(t, pkg)); complaint != "" {
			t.Errorf("%s: %s", pkg, complaint)
		}
	}
}

// ourFolders lists the folders of packages with more than test files, whatever system or tag
// they are for.
func ourFolders(t *testing.T) []string {
	t.Helper()
	var folders []string
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() {
			if path != "." && (name == "testdata" || name == "out" || name == "dist" || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if isSource(path) && !slices.Contains(folders, "./"+filepath.Dir(path)) {
			folders = append(folders, "./"+filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

func isSource(path string) bool {
	return strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
}

// packageComments parses the files of a folder and returns the comments at their package
// clauses, by file. A generated file's does not count.
func packageComments(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, file := range files {
		if !isSource(file) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil && !ast.IsGenerated(f) {
			comments[filepath.Base(file)] = f.Doc.Text()
		}
	}
	return comments
}

// judgePackageComment says what is wrong with the package comments of a package, "" if nothing.
func judgePackageComment(comments map[string]string) string {
	var files []string
	for file, text := range comments {
		files = append(files, file)
		if !strings.HasPrefix(text, "Package ") && !strings.HasPrefix(text, "Command ") {
			return fmt.Sprintf("%s: the comment at the package clause begins neither with Package nor with "+
				"Command: an empty line makes a file's header of it", file)
		}
	}
	switch slices.Sort(files); len(files) {
	case 0:
		return "no package comment"
	case 1:
		return ""
	}
	return "package comments in " + strings.Join(files, ", ") + ", want one"
}

func TestPackageCommentsAreJudged(t *testing.T) {
	for _, c := range []struct {
		name     string
		comments map[string]string
		want     string // part of the complaint
	}{
		{"one", map[string]string{"doc.go": "Package a does b.\n"}, ""},
		{"a program's", map[string]string{"main.go": "Command a does b.\n"}, ""},
		{"none", nil, "no package comment"},
		{"two", map[string]string{"b.go": "Package a.\n", "a.go": "Package a.\n"}, "in a.go, b.go, want one"},
		{"a file's header", map[string]string{"a.go": "The clock.\n"}, "a.go: the comment"},
	} {
		got := judgePackageComment(c.comments)
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: judgePackageComment = %q, want %q", c.name, got, c.want)
		}
	}
}
