// What editors and people do to krazycam.json, named in words: text in another encoding, documents
// of word processors, typographic quotation marks, comments, commas too many and too few.

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// saveAsUTF8 says how, for the editor that most often needs it.
const saveAsUTF8 = "save it as UTF-8 (Notepad: File, Save as, Encoding: UTF-8)"

// foreignFormat says what the whole file is, if it is no UTF-8 text: "" if it may be.
func foreignFormat(b []byte) string {
	has := func(magic string) bool { return bytes.HasPrefix(b, []byte(magic)) }
	switch {
	case has("\xff\xfe\x00\x00"), has("\x00\x00\xfe\xff"):
		return "this is UTF-32 text: " + saveAsUTF8
	case has("\xff\xfe"), has("\xfe\xff"), isUTF16(b):
		return "this is UTF-16 text: " + saveAsUTF8
	case has(`{\rtf`):
		return "this is a document with formatting (RTF): save it as plain text " +
			"(TextEdit: Format, Make Plain Text; WordPad: Save as, Plain text document)"
	case has("PK\x03\x04"), has("\xd0\xcf\x11\xe0"):
		return "this is a word processor's document or an archive: save it as plain text, encoding UTF-8"
	case has("\x1f\x8b"), has("\xfd7zXZ"):
		return "this is packed: unpack it first"
	case has("<"):
		return "this is HTML or XML: krazycam.json is JSON, such as {\"gateway\": {\"url\": …, \"key\": …}}"
	case has("\x00"):
		return "the file is filled with zero bytes: it was not written to the end; write it again"
	}
	return ""
}

// isUTF16 knows UTF-16 without a mark: JSON begins with two ASCII characters, so every second
// byte is zero.
func isUTF16(b []byte) bool {
	return len(b) >= 4 && (b[0] == 0 && b[1] != 0 && b[2] == 0 && b[3] != 0 ||
		b[0] != 0 && b[1] == 0 && b[2] != 0 && b[3] == 0)
}

// windows1252 are the characters of the bytes 0x80 to 0x9f in what Windows calls ANSI.
const windows1252 = "€\ufffd‚ƒ„…†‡ˆ‰Š‹Œ\ufffdŽ\ufffd\ufffd‘’“”•–—˜™š›œ\ufffdžŸ"

// notUTF8 names a byte that is no UTF-8, by the character that it most likely was.
func notUTF8(b byte) string {
	was := rune(b) // Latin-1
	if b >= 0x80 && b <= 0x9f {
		was = []rune(windows1252)[b-0x80]
	}
	if was == utf8.RuneError {
		return fmt.Sprintf("not UTF-8 text: byte %#x: %s", b, saveAsUTF8)
	}
	return fmt.Sprintf("not UTF-8 text: byte %#x, which in Latin-1 is %c: %s", b, was, saveAsUTF8)
}

// syntaxHint says what a person did where JSON ends, at the offset of the first character that
// does not belong there; "" if nothing is known.
func syntaxHint(text []byte, at int64) string {
	if at < 0 || at >= int64(len(text)) {
		return ""
	}
	before := bytes.TrimRight(text[:at], " \t\r\n")
	last := byte(0)
	if len(before) > 0 {
		last = before[len(before)-1]
	}
	found, _ := utf8.DecodeRune(text[at:])
	switch {
	case isTypographicQuote(found):
		return fmt.Sprintf(`%c is a typographic quotation mark: write " instead (a word processor makes them)`,
			found)
	case found == '\'':
		return `' does not begin a text: write " instead`
	case found == '/' || found == '#':
		return "JSON has no comments: take it out"
	case (found == '}' || found == ']') && last == ',':
		return fmt.Sprintf("the comma before %c is one too many", found)
	case found == ',' && (last == '{' || last == '[' || last == ','):
		return "a comma too many"
	case found == ';' || found == '=':
		return fmt.Sprintf("%c does not belong here: between key and value stands :, between entries a comma", found)
	case found == 0:
		return "a zero byte: the file is damaged; write it again"
	case found == '\n' || found == '\r' || found == '\t':
		return "a line ends or a tab stands within a text: is the \" at its end missing?"
	case found > '~':
		return fmt.Sprintf("%q (%U) does not belong here", found, found)
	case found == '"' && strings.IndexByte("\"}]", last) >= 0, found == '"' && isWordByte(last):
		return "a comma is missing before it"
	case (found == '{' || found == '[') && last == '"':
		return "a : is missing before it"
	case isWordByte(byte(found)):
		return `keys and texts stand in " "`
	}
	return ""
}

func isWordByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_'
}

func isTypographicQuote(r rune) bool {
	return strings.ContainsRune("“”„‟‘’‚‛«»‹›″＂", r)
}

// explainSyntax makes one sentence of a syntax error. The place comes from a second look at the
// whole text: a Decoder that is asked for tokens does not count all bytes. A typographic mark often
// shows up late: a text that begins with a straight mark and ends with one of these ends at the
// next straight one.
func (p *parser) explainSyntax(key string, found error) error {
	var syntax *json.SyntaxError
	var whole json.RawMessage
	if !errors.As(json.Unmarshal(p.text, &whole), &syntax) {
		return p.errorHere(key, "not JSON: %v", found)
	}
	at := max(syntax.Offset-1, 0) // Offset counts the character itself
	hint := syntaxHint(p.text, at)
	if early := bytes.IndexFunc(p.text[:at], isTypographicQuote); early >= 0 {
		if mark := syntaxHint(p.text[early:], 0); !strings.HasPrefix(hint, mark[:1]) {
			hint, at = mark, int64(early)
		}
	}
	if hint == "" {
		hint = syntax.Error()
	}
	return p.errorAt(at, key, "not JSON: "+hint)
}
