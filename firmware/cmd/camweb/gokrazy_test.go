package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/gokrazy/control"
)

func takesRoots(c *config.Config) { c.Update.Gokrazy = true }

// The sequence of gokrazy's own client: features, PUT root, POST testboot or switch, POST reboot.
func TestGokrazysClientUpdatesTheRoot(t *testing.T) {
	for _, c := range []struct{ hash, trial string }{{"crc32", "testboot"}, {"sha256", "switch"}, {"", "testboot"}} {
		b := newTestBoard(t, takesRoots)
		root := []byte(squashfsMagic + strings.Repeat("another root", 10_000))
		if code, text := b.curl(nil, "/update/features"); code != "200" || text != "partuuid,updatehash," {
			t.Fatalf("features: %s %q", code, text)
		}
		if code, text := b.curl(nil, "--header", "Accept: application/json", "/update/features"); code != "200" ||
			text != `{"EEPROM":null,"features":"partuuid,updatehash,"}`+"\n" {
			t.Fatalf("features as JSON: %s %q", code, text)
		}
		want := fmt.Sprintf("%x", sha256.Sum256(root))
		if c.hash == "crc32" {
			want = fmt.Sprintf("%08x", crc32.ChecksumIEEE(root))
		}
		args := []string{"--upload-file", "-", "/update/root"}
		if c.hash != "" {
			args = append([]string{"--header", "X-Gokrazy-Update-Hash: " + c.hash}, args...)
		}
		if code, text := b.curl(root, args...); code != "200" || text != want {
			t.Fatalf("PUT root: %s %q, want %q", code, text, want)
		}
		b.wants()
		if got, err := os.ReadFile(filepath.Join(b.root, control.UnsignedRoot)); !bytes.Equal(got, root) {
			t.Errorf("spooled %d bytes, %v, want the root's %d", len(got), err, len(root))
		}
		for _, path := range []string{"/update/" + c.trial, "/reboot"} {
			if code, text := b.curl(nil, "--request", "POST", path); code != "200" {
				t.Errorf("POST %s: %s %q", path, code, text)
			}
		}
		b.wants(control.AskApplyRoot) // which ends with the restart
	}
}

func TestGokrazysProtocolKeepsItsHandsOffTheRest(t *testing.T) {
	b := newTestBoard(t, takesRoots)
	for _, path := range []string{"/update/boot", "/update/bootonly", "/update/mbr"} {
		if code, text := b.curl([]byte("x"), "--upload-file", "-", path); code != "501" ||
			!strings.Contains(text, "camctl update") {
			t.Errorf("PUT %s: %s %q, want 501 in words", path, code, text)
		}
	}
	for name, root := range map[string][]byte{"nothing": nil, "no squashfs": []byte("#!/bin/sh"),
		"zeros": make([]byte, 100_000)} {
		if code, text := b.curl(root, "--upload-file", "-", "/update/root"); code != "422" ||
			!strings.Contains(text, "not a root") {
			t.Errorf("a root of %s: %s %q, want 422", name, code, text)
		}
	}
	for _, path := range []string{"/poweroff", "/divert", "/uploadtemp/x"} {
		if code, _ := b.curl(nil, "--request", "POST", path); code != "404" {
			t.Errorf("POST %s: %s, want 404", path, code)
		}
	}
	if code, _ := b.curl(nil, "--user", "admin:wrong", "--request", "POST", "/update/switch"); code != "401" {
		t.Errorf("switch with a wrong password: %s, want 401", code)
	}
	if _, text := b.curl(nil, "/api/v1/status"); !strings.Contains(text, `"unsigned":true`) {
		t.Errorf("the status does not say that unsigned roots are taken: %s", text)
	}
	if code, _ := b.curl(nil, "--request", "POST", "/reboot"); code != "200" {
		t.Errorf("reboot: %s", code)
	}
	b.wants(control.AskReboot)
}

func TestGokrazysProtocolIsNotThereUnlessTheOwnerWantsIt(t *testing.T) {
	b := newTestBoard(t, nil)
	for path, method := range map[string]string{
		"/update/features": "GET", "/update/root": "PUT", "/update/boot": "PUT",
		"/update/switch": "POST", "/update/testboot": "POST", "/reboot": "POST",
	} {
		if code, _ := b.curl(bytes.Repeat([]byte("x"), 10), "--request", method, path); code != "404" {
			t.Errorf("%s %s: %s, want 404", method, path, code)
		}
	}
	b.wants()
}
