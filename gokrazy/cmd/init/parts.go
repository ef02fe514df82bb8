// What each service may know of the owner's settings: a service that strangers talk to must not know
// another one's secrets.

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/settings"
)

// configFolder is where services find their settings: in memory, made anew at every start.
const configFolder = "/run/config"

// nobody is ntp's user.
const nobody = 65534

// A service is a program that has settings of its own.
type service struct {
	name     string
	group    int // its user's, which alone may read them
	sections []string
}

func (s service) file(folder string) string { return filepath.Join(folder, s.name+".json") }

func services() []service {
	return []service{
		{"camsource", board.SourceUser, []string{"camera", "stream", "gateway", "log", "bench"}},
		{"ntp", nobody, []string{"time"}},
		{"camweb", board.WebUser, []string{"web", "update", "log"}},
	}
}

// part is what a service gets of the settings. What is wrong with a section that nobody knows, or
// with the whole file, is camsource's to say: it speaks on the console.
func (s service) part(all settings.Settings) config.Part {
	p := config.Part{Unused: all.Unused}
	for _, i := range all.Items {
		if s.knows(i.Section) {
			p.Items = append(p.Items, i)
		}
	}
	for _, e := range all.Problems {
		section, _, _ := strings.Cut(e.Key, ".")
		if s.knows(section) || s.name == "camsource" && !isSomebodys(section) {
			p.Problems = append(p.Problems, e)
		}
	}
	return p
}

func (s service) knows(section string) bool { return slices.Contains(s.sections, section) }

func isSomebodys(section string) bool {
	return slices.ContainsFunc(services(), func(s service) bool { return s.knows(section) })
}

// write writes the service's file. It is root's and the service's user can only read it: the service
// starts as root, which must not go by what a service in foreign hands has written.
func (s service) write(folder string, all settings.Settings) error {
	b, err := s.part(all).Bytes()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	return atomicfile.Replace(s.file(folder), 0o440, func(f *os.File) error {
		if err := f.Chown(-1, s.group); err != nil {
			return err
		}
		_, err := f.Write(b)
		return err
	})
}
