// What only all settings together show: the same check for camsource, for a seed on its way to a
// card, for init, which takes it, and for camctl inspect, which finds it there.

package config

import (
	"strings"
)

// SeedName is the name of a board's configuration on its boot partition.
const SeedName = "krazycam.json"

// ParseSeed reads the seed b, whose name in errors is file, over the image's defaults, of which nil
// are none. It refuses what the board would not go by. Defaults that are broken count as none, as
// they do on the board.
func ParseSeed(defaults []byte, file string, b []byte) (Config, error) {
	base, err := Parse(ImageDefaults, defaults)
	if err != nil {
		base = Default()
	}
	c, err := base.With(file, b)
	if err == nil {
		err = c.CheckTogether(file)
	}
	if err != nil {
		return base, err
	}
	return c, nil
}

// CheckTogether finds settings that do not go together. An error is an *Error about file, without
// a line: two of them are wrong, or one is missing.
func (c Config) CheckTogether(file string) error {
	wrong := func(key, text string) error { return &Error{File: file, Key: key, Text: text} }
	s, g := c.Stream, c.Gateway
	switch {
	case s.RTP != "" && s.RTCP == "":
		return wrong("stream.rtcp", "is missing: stream.rtp and stream.rtcp belong together")
	case s.RTP == "" && s.RTCP != "":
		return wrong("stream.rtp", "is missing: stream.rtp and stream.rtcp belong together")
	case s.RTP != "" && s.Encryption == Required:
		return wrong("stream.rtp", "sends in the clear, which stream.encryption forbids: only a gateway has keys")
	case s.RTP != "" || g.URL == "":
		return nil
	case g.Key == "":
		return wrong("gateway.key", "is missing: the gateway gives it out")
	case strings.HasPrefix(strings.ToLower(g.URL), "http:") && !g.AllowHTTP:
		return wrong("gateway.url", "would send the key unencrypted: use https, or set gateway.allow-http")
	}
	return nil
}

// LooksLikeSeed knows names that an owner may take for SeedName and the board does not: Windows
// hides a .txt, and a browser numbers what it saves twice.
func LooksLikeSeed(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "krazycam") && name != SeedName
}
