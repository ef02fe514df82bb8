// krazycam.json(5): every setting, out of the settings table.

package manpage

import (
	"fmt"
	"os"
	"strings"

	"github.com/krazycam/krazycam/firmware/config"
)

const settingsIntroduction = `The file is one JSON object of sections, each an object of settings. Texts, sizes and
bitrates stand in double quotes, numbers, true and false do not. Every key may be left out.

  {"camera": {"device": "C920", "power-line": "50"},
   "stream": {"size": "640x480", "fps": 30, "bitrate": "600k"},
   "gateway": {"url": "https://gateway.example/api", "key": "..."}}

It holds secrets (gateway.key): nobody but its owner and camsource should be able to read it. On a PC an unknown key
or a wrong value is an error that names key, file and line, and an option of camsource overrides the file.`

const settingsFiles = `  /etc/krazycam/krazycam.json   of the service of the Linux packages
  --config FILE                 of a camsource that a person starts
  krazycam.json                 on the boot partition of a card: a board's`

// Settings writes krazycam.json.5 into folder, which is made.
func Settings(folder string, a About) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var w writer
	a.begin(&w, configPage, "5", "configuration of camsource and of a board")
	w.section("DESCRIPTION")
	w.text(settingsIntroduction)
	w.section("SETTINGS")
	c := config.Default()
	for _, section := range c.Sections() {
		w.line(`.SS "%s: %s"`, escape(section.Name), escape(section.Help))
		for _, s := range section.Settings {
			w.entry(bold(section.Name+"."+s.Key), aboutSetting(section.Name, s))
		}
	}
	w.section("FILES")
	w.text(settingsFiles)
	w.section(`"SEE ALSO"`)
	w.line("%s(1), %s(1)", bold("camsource"), bold("camctl"))
	return w.save(folder, configPage+".5")
}

// aboutSetting says what a setting decides, what it takes, and what counts without it.
func aboutSetting(section string, s config.Setting) string {
	var b strings.Builder
	b.WriteString(sentence(s.Help))
	if s.Notes != "" {
		b.WriteString(" " + sentence(s.Notes))
	}
	fmt.Fprintf(&b, "\n.br\nTakes: %s.", markdown(takes(s.Value.Type)))
	if text := s.DefaultText(); text != "" {
		fmt.Fprintf(&b, "\n.br\nIf nothing is said: %s.", markdown(text))
	}
	if s.Flag != "" {
		program := "camsource"
		if section == "bench" {
			program += " bench"
		}
		fmt.Fprintf(&b, "\n.br\nOption: %s %s.", bold(program), bold("--"+s.Flag))
	}
	return b.String()
}

// sentence gives a text of the table its capital and its full stop.
func sentence(s string) string {
	return markdown(strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + ".")
}

// takes says what a setting may be.
func takes(t config.Type) string {
	switch t.Kind {
	case config.Choice:
		return strings.Join(t.Words, ", ")
	case config.Number:
		return fmt.Sprintf("%d to %d", t.Low, t.High)
	case config.Switch:
		return "true or false"
	case config.List:
		if t.Item.Kind == config.Number {
			return t.Form + "; each from " + takes(*t.Item)
		}
	}
	return t.Form
}
