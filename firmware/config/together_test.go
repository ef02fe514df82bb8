package config

import (
	"errors"
	"strings"
	"testing"
)

func TestSeedIsCheckedOverTheImagesDefaults(t *testing.T) {
	const url = `{"gateway": {"url": "https://gateway.example/api"}}`
	for _, c := range []struct{ name, defaults, seed, want string }{
		{"all of it", ``, `{"gateway": {"url": "https://g.example", "key": "k"}}`, ""},
		{"the key, for the image's gateway", url, `{"gateway": {"key": "k"}}`, ""},
		{"nothing", ``, `{}`, ""},
		{"a gateway without a key", ``, url, "krazycam.json: gateway.key: is missing"},
		{"the image's gateway without a key", url, `{"log": {}}`, "krazycam.json: gateway.key: is missing"},
		{"the key in the clear", ``, `{"gateway": {"url": "http://g.example", "key": "k"}}`,
			"krazycam.json: gateway.url: would"},
		{"the key in the clear, as the owner likes", ``,
			`{"gateway": {"url": "http://g.example", "key": "k", "allow-http": true}}`, ""},
		{"a receiver for the video alone", ``, `{"stream": {"rtp": "10.0.0.1:5004"}}`,
			"krazycam.json: stream.rtcp: is missing"},
		{"a receiver for the reports alone", ``, `{"stream": {"rtcp": "10.0.0.1:5005"}}`,
			"krazycam.json: stream.rtp: is missing"},
		{"keys from nobody", ``,
			`{"stream": {"rtp": "10.0.0.1:5004", "rtcp": "10.0.0.1:5005", "encryption": "required"}}`,
			"krazycam.json: stream.rtp: sends in the clear"},
		{"an unknown key", ``, "{\n\"stram\": {}}", "krazycam.json:2: stram: unknown section"},
		{"defaults that are broken", `{`, url, "krazycam.json: gateway.key: is missing"},
	} {
		_, err := ParseSeed([]byte(c.defaults), SeedName, []byte(c.seed))
		var e *Error
		if c.want == "" && err == nil {
			continue
		}
		if c.want == "" || !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestFilesThatAnOwnerMayTakeForTheSeed(t *testing.T) {
	for name, want := range map[string]bool{
		"krazycam.json": false, "KRAZYCAM.JSON": false, "cmdline.txt": false,
		"krazycam.json.txt": true, "Krazycam (1).json": true, "krazycam": true, "krazycam.jsn": true,
	} {
		if LooksLikeSeed(name) != want {
			t.Errorf("LooksLikeSeed(%q) = %t, want %t", name, !want, want)
		}
	}
}
