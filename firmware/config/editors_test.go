package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
)

// inUTF16 is text as Notepad saves it as "Unicode", with or without the mark in front.
func inUTF16(text string, order binary.AppendByteOrder, mark bool) string {
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xfeff)
	}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

func TestParseNamesWhatAnEditorDid(t *testing.T) {
	const good = "{\"gateway\": {\n\"url\": \"https://gateway.example/api\",\n\"key\": \"k\"}}\n"
	if _, err := Parse("f", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, want string }{
		{"UTF-16 of Windows", inUTF16(good, binary.LittleEndian, true),
			"f:1: this is UTF-16 text: save it as UTF-8 (Notepad:"},
		{"UTF-16 without a mark", inUTF16(good, binary.LittleEndian, false),
			"f:1: this is UTF-16 text: save it as UTF-8"},
		{"UTF-16, big end first", inUTF16(good, binary.BigEndian, true), "f:1: this is UTF-16 text"},
		{"the same without a mark", inUTF16(good, binary.BigEndian, false), "f:1: this is UTF-16 text"},
		{"UTF-32", "\xff\xfe\x00\x00{\x00\x00\x00", "f:1: this is UTF-32 text"},
		{"a document with formatting", `{\rtf1\ansi\deff0 {"gateway"}}`,
			"f:1: this is a document with formatting (RTF)"},
		{"a word processor's file", "PK\x03\x04....", "f:1: this is a word processor's document"},
		{"a packed file", "\x1f\x8b\x08", "f:1: this is packed"},
		{"a page", "<!doctype html>", "f:1: this is HTML"},
		{"zeros", strings.Repeat("\x00", 100), "f:1: the file is filled with zero bytes"},
		{"Latin-1", "{\"camera\":\n{\"device\": \"K\xfcche\"}}",
			"f:2: not UTF-8 text: byte 0xfc, which in Latin-1 is ü: save it"},
		{"quotation marks of Windows-1252", "{\n\x93log\x94: {}}",
			"f:2: not UTF-8 text: byte 0x93, which in Latin-1 is “"},
		{"typographic marks", "{\n“log”: {}}", "f:2: not JSON: “ is a typographic quotation mark"},
		{"German ones", "{\n„log“: {}}", "f:2: not JSON: „ is a typographic quotation mark"},
		{"only the second mark", "{\n\"log”: {},\n\"time\": {}}", "f:2: not JSON: ” is a typographic quotation mark"},
		{"a comma before }", "{\"log\": {},\n}", "f:2: not JSON: the comma before } is one too many"},
		{"a comma before ]", "{\"time\": {\"ntp\": [\"a\",\n]}}",
			"f:2: time.ntp: not JSON: the comma before ] is one too many"},
		{"two commas", "{\"log\": {},\n,\"time\": {}}", "f:2: not JSON: a comma too many"},
		{"no comma", "{\"log\": {}\n\"time\": {}}", "f:2: not JSON: a comma is missing before it"},
		{"no comma after a number", "{\"stream\": {\"fps\": 3\n\"rtx\": true}}",
			"f:2: stream: not JSON: a comma is missing"},
		{"a comment", "{\"log\": {} // all\n}", "f:1: not JSON: JSON has no comments"},
		{"a comment of a script", "# mine\n{}", "f:1: not JSON: JSON has no comments"},
		{"single marks", "{\n'log': {}}", `f:2: not JSON: ' does not begin a text: write "`},
		{"no marks", "{\nlog: {}}", `f:2: not JSON: keys and texts stand in " "`},
		{"= in place of :", "{\"log\"\n= {}}", "f:2: log: not JSON: = does not belong here"},
		{"no end of a text", "{\"log\": {\n\"level: \"info\"}}", "f:2: log.level: : unknown key"},
		{"a text over two lines", "{\"gateway\": {\n\"url\": \"https:\n//x\"}}",
			"f:2: gateway.url: not JSON: a line ends"},
		{"a zero in it", "{\"log\":\n\x00 {}}", "f:2: log: not JSON: a zero byte"},
		{"a space that is none", "{\"log\":\n\u00a0{}}", "f:2: log: not JSON:"},
	} {
		_, err := Parse("f", []byte(c.text))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestParseTakesWhatEditorsMayDo(t *testing.T) {
	for name, text := range map[string]string{
		"a mark and lines of Windows":  "\xef\xbb\xbf{\"log\":\r\n{\"level\": \"warn\"}}\r\n",
		"zeros behind the text":        "{\"log\": {\"level\": \"warn\"}}" + strings.Repeat("\x00", 1000),
		"a typographic mark in a text": "{\"camera\": {\"device\": \"“the” camera\"}}",
		"text outside of ASCII":        "{\"camera\": {\"device\": \"Küche\"}}",
	} {
		if _, err := Parse("f", []byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever an editor leaves: an error names a line of the file, and repeats no secret at length.
func FuzzParseExplains(f *testing.F) {
	f.Add([]byte("{\"log\": {},}"))
	f.Add([]byte("{“log”: {}}"))
	f.Add([]byte("\xff\xfe{\x00"))
	f.Add([]byte("{\"gateway\": {\"key\": \"k\" // x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := Parse("f", b)
		if err == nil {
			return
		}
		var e *Error
		if !errors.As(err, &e) || e.Line < 1 || e.Line > 1+bytes.Count(b, []byte("\n")) || len(e.Text) > 2048+6*len(b) {
			t.Errorf("Parse(%q) = %v, want an *Error with a line of the text", b, err)
		}
	})
}
