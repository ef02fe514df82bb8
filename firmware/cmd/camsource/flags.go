// The flags that are settings: made from the settings table, which the configuration file
// is read by, too.

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/config"
)

// withFlags lists the settings that are flags of a verb: those of section bench of
// `camsource bench`, all others of camsource.
func withFlags(c *config.Config, bench bool) (all []config.Setting) {
	for _, section := range c.Sections() {
		for _, s := range section.Settings {
			if s.Flag != "" && (section.Name == "bench") == bench {
				all = append(all, s)
			}
		}
	}
	return all
}

// givenSettings are what a command line says, by the names of its flags. They wait here
// until the configuration file has been read, which they override.
type givenSettings map[string]string

// A settingFlag is one setting on the command line.
type settingFlag struct {
	setting config.Setting // of a Config that only checks
	given   givenSettings
}

// Set checks a value and keeps it.
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
	if f.setting.Value.Kind == config.Switch {
		return "bool"
	}
	return f.setting.Value.Hint
}

// addSettingFlags makes a verb's flags that are settings.
func addSettingFlags(cmd *cobra.Command, bench bool) givenSettings {
	given := givenSettings{}
	check := config.Default()
	for _, s := range withFlags(&check, bench) {
		f := cmd.Flags().VarPF(settingFlag{s, given}, s.Flag, "", flagHelp(s))
		complete := cobra.CompletionFunc(cobra.NoFileCompletions)
		switch {
		case s.Value.Kind == config.Switch:
			f.NoOptDefVal = "true"
		case s.Flag == "camera":
			complete = completeCamera
		}
		cobra.CheckErr(cmd.RegisterFlagCompletionFunc(s.Flag, complete))
	}
	return given
}

// flagHelp adds to a setting's help what it takes and what counts without it.
func flagHelp(s config.Setting) string {
	text := s.Help
	if t := s.Value.Type; t.Kind == config.Number {
		text += fmt.Sprintf(" (%d to %d)", t.Low, t.High)
	}
	if d := s.DefaultText(); d != "" && d != "false" {
		text += "; default: " + d
	}
	return text
}

// override puts what the command line says in the place of what c has.
func (given givenSettings) override(c *config.Config, bench bool) error {
	for _, s := range withFlags(c, bench) {
		if text, ok := given[s.Flag]; ok {
			if err := s.Value.Set(text); err != nil {
				return fmt.Errorf("--%s: %w", s.Flag, err)
			}
		}
	}
	return nil
}
