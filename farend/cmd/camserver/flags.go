// The flags that are settings: made from the settings table, which the configuration file is read by, too.

package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/firmware/manpage"
)

// options are what a command line says of the server: a file, and what overrides it.
type options struct {
	file  string
	given map[string]string // by the names of flags
}

// A settingFlag is one setting on the command line.
type settingFlag struct {
	setting settings.Setting // of Settings that only check
	given   map[string]string
}

// Set checks a value and keeps it until the file has been read.
func (f settingFlag) Set(s string) error {
	if err := f.setting.Value.Set(s); err != nil {
		return err
	}
	f.given[f.setting.Flag] = s
	return nil
}

// String gives what Set has kept.
func (f settingFlag) String() string { return f.given[f.setting.Flag] }

// Type is what help shows for the value. For "bool" it shows none.
func (f settingFlag) Type() string {
	if f.setting.Value.Kind == settings.Switch {
		return "bool"
	}
	return f.setting.Value.Hint
}

// addOptions makes the flags of a verb: --config, and those settings whose group is one of groups, all of
// them if there is none.
func addOptions(cmd *cobra.Command, groups ...string) *options {
	o := &options{given: map[string]string{}}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.file, "config", "", "configuration `FILE`, which flags override")
	check := settings.Default()
	for _, group := range check.Groups() {
		if len(groups) > 0 && !strings.Contains(" "+strings.Join(groups, " ")+" ", " "+group.Name+" ") {
			continue
		}
		for _, s := range group.Settings {
			if s.Flag == "" {
				continue
			}
			one := f.VarPF(settingFlag{s, o.given}, s.Flag, "", s.Usage())
			one.Annotations = map[string][]string{manpage.Group: {group.Name + ": " + group.Help}}
			if s.Value.Kind == settings.Switch {
				one.NoOptDefVal = "true"
			}
		}
	}
	cmd.SetUsageFunc(usageByGroup)
	return o
}

// settings reads the file, puts what the command line says over it, and checks the whole.
func (o *options) settings() (settings.Settings, error) {
	s := settings.Default()
	if o.file != "" {
		if err := s.Load(o.file); err != nil {
			return s, err
		}
	}
	for _, group := range s.Groups() {
		for _, one := range group.Settings {
			text, ok := o.given[one.Flag]
			if !ok || one.Flag == "" {
				continue
			}
			if err := one.Value.Set(text); err != nil {
				return s, fmt.Errorf("--%s: %w", one.Flag, err)
			}
		}
	}
	if err := cmp.Or(s.Check(), s.CheckPlain()); err != nil {
		return s, usageError{err}
	}
	return s, nil
}

// usageWidth is that of a terminal.
const usageWidth = 100

// usageByGroup prints verbs, then flags under the headings of their groups.
func usageByGroup(cmd *cobra.Command) error {
	w := cmd.OutOrStderr()
	fmt.Fprintf(w, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasExample() {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintln(w, "\nVerbs:")
		for _, verb := range cmd.Commands() {
			if verb.IsAvailableCommand() {
				fmt.Fprintf(w, "  %-11s %s\n", verb.Name(), verb.Short)
			}
		}
	}
	var headings []string
	sets := map[string]*pflag.FlagSet{}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		heading := "Flags"
		if of := f.Annotations[manpage.Group]; len(of) == 1 {
			heading = of[0]
		}
		if sets[heading] == nil {
			headings = append(headings, heading)
			sets[heading] = pflag.NewFlagSet(heading, pflag.ContinueOnError)
			sets[heading].SortFlags = false
		}
		sets[heading].AddFlag(f)
	})
	for _, heading := range headings {
		if _, err := io.WriteString(w, "\n"+heading+":\n"+sets[heading].FlagUsagesWrapped(usageWidth)); err != nil {
			return err
		}
	}
	return nil
}
