// The language of manual pages, man(7): what text becomes in it.

package manpage

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/krazycam/krazycam/firmware/atomicfile"
)

var (
	escaper = strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`, "`", `\(ga`, "'", `\(aq`, `"`, `\(dq`,
		"…", "...")
	other = regexp.MustCompile(`[^\x00-\x7f]`) // troff reads ASCII
)

// escape makes plain text of what man(7) would read as a request, and keeps its dashes ASCII, so that an option can be
// copied.
func escape(s string) string {
	s = escaper.Replace(s)
	s = other.ReplaceAllStringFunc(s, func(r string) string { return fmt.Sprintf(`\[u%04X]`, []rune(r)[0]) })
	if strings.HasPrefix(s, ".") { // a request, at the beginning of a line
		s = `\&` + s
	}
	return s
}

func bold(s string) string { return `\fB` + escape(s) + `\fR` }

func italic(s string) string { return `\fI` + escape(s) + `\fR` }

var (
	code = regexp.MustCompile("`([^`]+)`")
	link = regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`)
)

// markdown is escape for the little Markdown of the settings table: code becomes bold, a link its words.
func markdown(s string) string {
	var b strings.Builder
	s = link.ReplaceAllString(s, "$1")
	at := 0
	for _, m := range code.FindAllStringSubmatchIndex(s, -1) {
		b.WriteString(escape(s[at:m[0]]) + bold(s[m[2]:m[3]]))
		at = m[1]
	}
	b.WriteString(escape(s[at:]))
	return b.String()
}

// A writer collects a page.
type writer struct{ strings.Builder }

// save makes the page in folder.
func (w *writer) save(folder, name string) error {
	return atomicfile.Write(filepath.Join(folder, name), 0o644, atomicfile.Bytes([]byte(w.String())))
}

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// section begins one: its name is in capitals.
func (w *writer) section(name string) { w.line(".SH %s", name) }

// entry is a term of a list with its explanation, both in roff.
func (w *writer) entry(term, text string) {
	w.line(".TP\n%s\n%s", term, text)
}

// text writes paragraphs. Lines that begin with two spaces keep their form, as in a terminal's help.
func (w *writer) text(s string) {
	kept := false
	for line := range strings.Lines(strings.Trim(s, "\n")) {
		line = strings.TrimRight(line, "\n")
		indented := strings.HasPrefix(line, "  ")
		switch {
		case indented && !kept:
			w.line(".PP\n.RS 4\n.nf")
		case !indented && kept:
			w.line(".fi\n.RE")
			if line != "" {
				w.line(".PP")
			}
		}
		kept = indented
		switch {
		case line == "":
			w.line(".PP")
		case indented:
			w.line("%s", escape(strings.TrimPrefix(line, "  ")))
		default:
			w.line("%s", escape(line))
		}
	}
	if kept {
		w.line(".fi\n.RE")
	}
}
