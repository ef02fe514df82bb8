// Packs the staged files: nfpm writes deb, rpm and apk.

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/apk"
	_ "github.com/goreleaser/nfpm/v2/deb"
	nfpmfiles "github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
)

const (
	maintainer = "the krazycam authors <krazycam@users.noreply.github.com>"
	homepage   = "https://" + ourModule
	// buildHost stands in an rpm instead of the machine's own name.
	buildHost = "krazycam"
)

// makeAll makes a product's packages for one architecture and says where they are. Nearly all of the time is
// compression, which takes one processor each.
func (r release) makeAll(p product, arch architecture, dir string) ([]string, error) {
	s, err := r.stageProduct(p, arch, dir)
	if err != nil {
		return nil, err
	}
	kinds := append([]kind{txz}, arch.kinds...)
	paths, errs := make([]string, len(kinds)), make([]error, len(kinds))
	var all sync.WaitGroup
	for i, k := range kinds {
		all.Go(func() {
			if k == txz {
				paths[i], errs[i] = r.makeArchive(p, arch, s)
			} else {
				paths[i], errs[i] = r.makePackage(p, arch, k, s)
			}
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", k, errs[i])
			}
		})
	}
	all.Wait()
	return paths, errors.Join(errs...)
}

// makePackage makes one package and says where it is.
func (r release) makePackage(p product, arch architecture, k kind, s *stage) (string, error) {
	info, err := r.describe(p, arch, k, s)
	if err != nil {
		return "", err
	}
	info = nfpm.WithDefaults(info)
	if k == apk { // apk knows -dev as _pre, and has no place for a commit
		info.VersionMetadata = ""
		if info.Prerelease != "" {
			info.Prerelease = "pre"
		}
	}
	if err := nfpm.Validate(info); err != nil {
		return "", err
	}
	if err := nfpm.PrepareForPackager(info, string(k)); err != nil {
		return "", err
	}
	packager, err := nfpm.Get(string(k))
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.out, packager.ConventionalFileName(info))
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	if err := errors.Join(packager.Package(info, f), f.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", path, errors.Join(err, os.Remove(path)))
	}
	return path, nil
}

// describe says to nfpm what a package is.
func (r release) describe(p product, arch architecture, k kind, s *stage) (*nfpm.Info, error) {
	dir := filepath.Join(s.dir, string(k)) // packages of other kinds are made meanwhile
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	changelog, err := r.writeChangelog(dir)
	if err != nil {
		return nil, err
	}
	info := &nfpm.Info{
		Name: p.name, Arch: arch.nfpm, Platform: "linux",
		Version: strings.TrimPrefix(r.version, "v"), Release: "1",
		Section: p.section, Priority: "optional", Maintainer: maintainer, Vendor: "krazycam",
		Description: p.summary + "\n" + p.description,
		Homepage:    homepage, License: "BSD-3-Clause",
		Changelog: changelog, MTime: r.time, DisableGlobbing: true,
	}
	if k == apk {
		info.Release = "0"
	}
	info.Depends = p.depends[k]
	info.Recommends = p.recommends
	info.Deb.Compression = "xz"
	info.RPM.Compression = "xz"
	info.RPM.Summary = p.summary
	info.RPM.BuildHost = buildHost
	info.RPM.Group = "Applications/Multimedia"
	for _, e := range s.entries {
		if !e.isIn(k) {
			continue
		}
		info.Contents = append(info.Contents, r.content(e, k))
	}
	if k == rpm {
		info.Contents = append(info.Contents, r.ownFolders(p, s)...)
	}
	info.Scripts, err = r.writeScripts(dir, p, k)
	return info, err
}

// ownFolders lists the folders of an rpm that are nobody else's: rpm erases only those that a package names.
func (r release) ownFolders(p product, s *stage) []*nfpmfiles.Content {
	var own []*nfpmfiles.Content
	seen := map[string]bool{}
	for _, e := range s.entries {
		folder := path.Dir(e.target)
		isOwn := folder == "/etc/krazycam" || strings.HasPrefix(folder+"/", "/usr/share/doc/"+p.name+"/")
		if !e.isIn(rpm) || !isOwn || seen[folder] {
			continue
		}
		seen[folder] = true
		own = append(own, &nfpmfiles.Content{
			Destination: folder, Type: nfpmfiles.TypeDir,
			FileInfo: &nfpmfiles.ContentFileInfo{Owner: "root", Group: "root", Mode: 0o755, MTime: r.time},
		})
	}
	return own
}

// content is an entry in nfpm's words. In a deb all is root's: the group may not be there yet when it is
// unpacked, and postinst changes that.
func (r release) content(e entry, k kind) *nfpmfiles.Content {
	c := &nfpmfiles.Content{
		Source: e.source, Destination: e.target,
		FileInfo: &nfpmfiles.ContentFileInfo{Owner: "root", Group: "root", Mode: e.mode, MTime: r.time},
	}
	if e.config {
		c.Type = nfpmfiles.TypeConfigNoReplace
	}
	if e.group != "" && k != deb {
		c.FileInfo.Group = e.group
	}
	return c
}

// writeScripts puts the scripts of a package into a folder, where nfpm finds them. An apk has the time of
// its files.
func (r release) writeScripts(dir string, p product, k kind) (written nfpm.Scripts, err error) {
	if p.service == nil {
		return written, nil
	}
	fill, err := p.fillScripts()
	if err != nil {
		return written, err
	}
	of := serviceScripts()[k]
	for _, script := range []struct {
		name string
		path *string
	}{
		{of.preinstall, &written.PreInstall}, {of.postinstall, &written.PostInstall},
		{of.preremove, &written.PreRemove}, {of.postremove, &written.PostRemove},
	} {
		if script.name == "" {
			continue
		}
		content, err := files.ReadFile("files/" + script.name)
		if err != nil {
			return written, err
		}
		*script.path = filepath.Join(dir, script.name)
		if err := os.WriteFile(*script.path, []byte(fill.Replace(string(content))), 0o755); err != nil {
			return written, err
		}
		if err := os.Chtimes(*script.path, r.time, r.time); err != nil {
			return written, err
		}
	}
	return written, nil
}

// fillScripts has what differs between the scripts of services.
func (p product) fillScripts() (*strings.Replacer, error) {
	users, err := files.ReadFile("files/" + p.name + ".sysusers")
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(string(users)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return strings.NewReplacer("@NAME@", p.name, "@CONFIG@", p.service.config, "@HINT@", p.service.hint,
		"@GROUPS@", strings.Join(p.service.groups, " "), "@SYSUSERS@", strings.Join(lines, "\n")), nil
}

// writeChangelog is the packager's changelog: one entry, of this version. What changed in the program stands
// in changelog.gz.
func (r release) writeChangelog(dir string) (string, error) {
	const form = `- semver: %s
  date: %s
  packager: %s
  deb:
    urgency: medium
    distributions: [stable]
  changes:
    - note: "What is new stands in changelog.gz."
`
	path := filepath.Join(dir, "changelog.yaml")
	version := strings.TrimPrefix(r.version, "v")
	text := fmt.Sprintf(form, version, r.time.Format("2006-01-02T15:04:05Z"), maintainer)
	return path, os.WriteFile(path, []byte(text), 0o644)
}
