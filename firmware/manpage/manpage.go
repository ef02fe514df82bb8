// Package manpage writes manual pages of the definitions that a program's help and the check of its settings are made
// of: Commands those of a program and its verbs, Settings krazycam.json(5).
//
// It writes man(7) itself. cobra's own generator takes help for Markdown, which joins its tables to paragraphs, and
// prints --json as "--json=". Nothing here depends on the machine or the clock.
package manpage

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configPage is the page that all others lead to.
const configPage = "krazycam.json"

// About is what stands at the head and foot of every page.
type About struct {
	Version string
	Date    time.Time // the zero time: none
}

// ParseAbout takes what scripts/build puts into a program: its version, and the time in Unix seconds, "" if none.
func ParseAbout(version, buildTime string) About {
	a := About{Version: version}
	if seconds, err := strconv.ParseInt(buildTime, 10, 64); err == nil {
		a.Date = time.Unix(seconds, 0).UTC()
	}
	return a
}

// begin writes the page's head.
func (a About) begin(w *writer, name, section, short string) {
	date := ""
	if !a.Date.IsZero() {
		date = a.Date.Format(time.DateOnly)
	}
	title := escape(strings.ToUpper(name))
	w.line(`.TH "%s" "%s" "%s" "krazycam %s" "krazycam"`, title, section, date, escape(a.Version))
	w.line(`.\" Left-aligned and without hyphenation: options and addresses stay whole.`)
	w.line(".nh\n.ad l")
	w.section("NAME")
	w.line(`%s \- %s`, escape(name), escape(short))
}

// WrongUse is the annotation of a command that says what its exit code 2 means.
const WrongUse = "wrong use"

// Group is the annotation of a flag that says under which heading it stands. Flags of one group follow
// each other.
const Group = "group"

// Command gives the verb that writes the pages of its program into a folder.
func Command(a About) *cobra.Command {
	return &cobra.Command{
		Use:    "manual FOLDER",
		Short:  "Writes the manual pages into a folder, such as ~/.local/share/man/man1",
		Hidden: true, // packages have them already
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return Commands(cmd.Root(), args[0], a)
		},
	}
}

// Commands writes into folder, which is made, a page for root and for each of its verbs.
func Commands(root *cobra.Command, folder string, a About) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, c := range visible(root) {
		if err := Commands(c, folder, a); err != nil {
			return err
		}
	}
	var w writer
	a.writeCommand(&w, root)
	return w.save(folder, pageName(root)+".1")
}

// visible lists the verbs that have a page. What every program of cobra has needs none.
func visible(c *cobra.Command) (all []*cobra.Command) {
	for _, verb := range c.Commands() {
		if verb.IsAvailableCommand() && verb.Name() != "help" && verb.Name() != "completion" {
			all = append(all, verb)
		}
	}
	return all
}

func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func (a About) writeCommand(w *writer, c *cobra.Command) {
	a.begin(w, pageName(c), "1", c.Short)
	w.section("SYNOPSIS")
	w.line("%s%s", bold(c.CommandPath()), escape(strings.TrimPrefix(c.UseLine(), c.CommandPath())))
	w.section("DESCRIPTION")
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	w.text(long)
	if verbs := visible(c); len(verbs) > 0 {
		w.section("COMMANDS")
		for _, verb := range verbs {
			_, arguments, _ := strings.Cut(verb.Use, " ")
			w.entry(bold(verb.CommandPath())+" "+escape(arguments), escape(verb.Short))
		}
	}
	writeOptions(w, c)
	if c.Example != "" {
		w.section("EXAMPLES")
		w.text(c.Example)
	}
	w.section(`"EXIT STATUS"`)
	w.line("0 done or ended on request, 1 it failed, 2 %s.", cmp.Or(c.Annotations[WrongUse], "it was called wrongly"))
	w.section(`"SEE ALSO"`)
	w.line("%s", strings.Join(seeAlso(c), ", "))
}

func writeOptions(w *writer, c *cobra.Command) {
	c.InitDefaultHelpFlag()
	w.section("OPTIONS")
	group := ""
	write := func(f *pflag.Flag) {
		if f.Hidden || f.Deprecated != "" {
			return
		}
		if of := f.Annotations[Group]; len(of) == 1 && of[0] != group {
			group = of[0]
			w.line(`.SS "%s"`, escape(group))
		}
		value, usage := pflag.UnquoteUsage(f)
		term := bold("--" + f.Name)
		if f.Shorthand != "" {
			term = bold("-"+f.Shorthand) + ", " + term
		}
		if value != "" {
			term += " " + italic(value)
		}
		if text := f.DefValue; !isNothing(text) {
			usage += fmt.Sprintf(" (default %s)", text)
		}
		w.entry(term, escape(strings.ReplaceAll(usage, "\n", " ")))
	}
	c.NonInheritedFlags().VisitAll(write)
	c.InheritedFlags().VisitAll(write)
}

// isNothing says that a default is what everybody expects where nothing is said.
func isNothing(value string) bool {
	switch value {
	case "", "false", "0", "0s", "[]":
		return true
	}
	return false
}

// seeAlso names the page above, those below, and that of the configuration.
func seeAlso(c *cobra.Command) (pages []string) {
	if c.HasParent() {
		pages = append(pages, bold(pageName(c.Parent()))+"(1)")
	}
	for _, verb := range visible(c) {
		pages = append(pages, bold(pageName(verb))+"(1)")
	}
	return append(pages, bold(configPage)+"(5)")
}
