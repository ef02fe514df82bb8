// What a setting is. The settings themselves are declared in table.go.

package config

// A Section groups settings, in the file and in the documentation.
type Section struct {
	Name     string // in the file
	Help     string // what its settings are about
	Settings []Setting
}

// A Setting is one key of krazycam.json. It is declared once and gives the check of the
// file, the flag of camsource with its help, and the line in docs/configuration.md.
type Setting struct {
	Key     string // within its section
	Flag    string // of camsource, without dashes (section bench: of camsource bench); "" if there is none
	Value   Value  // what it takes, and its place in the Config
	Help    string // what it decides, in one line of plain text
	Notes   string // what the documentation adds, in Markdown
	Default string // what counts where nothing is said, if the value in Default does not say it
	Secret  bool   // a form must not show it, and an image must not hold it
	Guard   bool   // it limits what is sent, or to whom: with a value that is wrong, a board sends nothing
}

// Sections lists all settings, bound to c: what a Value takes is stored there.
func (c *Config) Sections() []Section {
	return []Section{
		{"camera", "which camera, and how it is set", c.Camera.settings()},
		{"stream", "what is encoded, and how it is sent", c.Stream.settings()},
		{"gateway", "who permits the stream and says where it goes", c.Gateway.settings()},
		{"time", "where the time comes from", c.Time.settings()},
		{"update", "whose updates the board takes, and how they come", c.Update.settings()},
		{"web", "who may do what over the board's HTTPS", c.Web.settings()},
		{"log", "how much is logged", c.Log.settings()},
		{"bench", "what the board measures of itself before it streams", c.Bench.settings()},
	}
}

// DefaultText says what counts where nothing is said. The Setting must be bound to what
// Default returns.
func (s Setting) DefaultText() string {
	if s.Default != "" {
		return s.Default
	}
	return s.Value.String()
}

// Secrets names the settings that say something and must not be in an image: "web.tls-key".
func (c Config) Secrets() (names []string) {
	for _, section := range c.Sections() {
		for _, s := range section.Settings {
			if s.Secret && s.Value.String() != "" {
				names = append(names, section.Name+"."+s.Key)
			}
		}
	}
	return names
}
