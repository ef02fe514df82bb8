// The packages of Alpine, read back by their own format: apk itself is not to be had on Debian.
// Format: apk-package(5) of apk-tools 2. One gzip stream has the control files, one the data; both are tar.

package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A stream is one gzip stream of a package.
type stream struct {
	packed []byte
	files  map[string]tarFile
	names  []string
}

type tarFile struct {
	header  *tar.Header
	content []byte
}

// readStreams takes an .apk apart.
func readStreams(t *testing.T, apk []byte) []stream {
	t.Helper()
	var all []stream
	for rest := apk; len(rest) > 0; {
		r := bytes.NewReader(rest) // gzip reads a bytes.Reader no further than the stream goes
		packed, err := gzip.NewReader(r)
		if err != nil {
			t.Fatalf("stream %d: %v", len(all), err)
		}
		packed.Multistream(false)
		content, err := io.ReadAll(packed)
		if err != nil {
			t.Fatalf("stream %d: %v", len(all), err)
		}
		end := len(rest) - r.Len()
		s := stream{packed: rest[:end], files: map[string]tarFile{}}
		readTar(t, &s, content)
		all = append(all, s)
		rest = rest[end:]
	}
	return all
}

func readTar(t *testing.T, s *stream, content []byte) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(content)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		s.files[h.Name] = tarFile{h, b}
		s.names = append(s.names, h.Name)
	}
}

// packageInfo reads .PKGINFO: a key can come more than once.
func packageInfo(content []byte) map[string][]string {
	info := map[string][]string{}
	for lines := bufio.NewScanner(bytes.NewReader(content)); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), " = "); ok && !strings.HasPrefix(key, "#") {
			info[key] = append(info[key], value)
		}
	}
	return info
}

// alpineVersion is what apk takes for a version: apk-tools' version.c.
var alpineVersion = regexp.MustCompile(`^\d+(\.\d+)*[a-z]?(_(alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*-r\d+$`)

func TestAnApkIsAsItsFormatSays(t *testing.T) {
	programs, share := sources(t)
	for _, p := range products() {
		for _, version := range []string{"v0.2.0", "v0.2.0-dev+0123456789ab"} {
			for name, content := range makeOnly(t, programs, share, version, p.name+"/amd64") {
				if strings.HasSuffix(name, ".apk") {
					t.Run(name, func(t *testing.T) { checkApk(t, p, content) })
				}
			}
		}
	}
}

func checkApk(t *testing.T, p product, content []byte) {
	streams := readStreams(t, content)
	if len(streams) != 2 {
		t.Fatalf("%d streams, want control and data: it is not signed", len(streams))
	}
	control, data := streams[0], streams[1]
	if len(control.names) == 0 || control.names[0] != ".PKGINFO" {
		t.Fatalf("control files are %q, want .PKGINFO first", control.names)
	}
	info := packageInfo(control.files[".PKGINFO"].content)
	sum := sha256.Sum256(data.packed)
	for key, want := range map[string]string{
		"pkgname": p.name, "arch": "x86_64", "datahash": hex.EncodeToString(sum[:]),
	} {
		if got := info[key]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if v := info["pkgver"]; len(v) != 1 || !alpineVersion.MatchString(v[0]) {
		t.Errorf("pkgver is %q, which apk does not take", v)
	}
	for _, name := range control.names[1:] {
		f := control.files[name]
		if !strings.HasPrefix(string(f.content), "#!/bin/sh\n") || f.header.Mode&0o111 == 0 {
			t.Errorf("%s is not a script that can be run: mode %o", name, f.header.Mode)
		}
	}
	if has := slices.Contains(control.names, ".pre-install"); has != (p.service != nil) {
		t.Errorf("control files are %q", control.names)
	}
	checkApkFiles(t, p, data)
}

// checkApkFiles: apk refuses a file that does not have the checksum of its header.
func checkApkFiles(t *testing.T, p product, data stream) {
	for _, name := range data.names {
		f := data.files[name]
		if f.header.Typeflag != tar.TypeReg {
			continue
		}
		sum := sha1.Sum(f.content)
		if got := f.header.PAXRecords["APK-TOOLS.checksum.SHA1"]; got != hex.EncodeToString(sum[:]) {
			t.Errorf("%s has the checksum %q, want %x", name, got, sum)
		}
	}
	want := []string{"usr/bin/" + p.name}
	for _, f := range p.files {
		if f.only == nil || slices.Contains(f.only, apk) {
			want = append(want, strings.TrimPrefix(f.target, "/"))
		}
	}
	for _, name := range want {
		if _, there := data.files[name]; !there {
			t.Errorf("%s is missing", name)
		}
	}
	if program := data.files["usr/bin/"+p.name]; program.header != nil && program.header.Mode != 0o755 {
		t.Errorf("the program has mode %o, want 755", program.header.Mode)
	}
}
