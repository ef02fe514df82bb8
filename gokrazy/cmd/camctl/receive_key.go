// The API key of camctl receive: given, read from a file, or made once and kept.

package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

// keyFileMax is far above the 1024 bytes that a board's configuration takes as a key.
const keyFileMax = 4096

// findKey returns the key of --key, of --key-file, or the one in the state directory.
func (o *receiveOptions) findKey(log *slog.Logger) (string, error) {
	switch {
	case o.key != "":
		return o.key, nil
	case o.keyFile != "":
		return readKeyFile(o.keyFile)
	}
	return keptKey(filepath.Join(o.state, "key"), log)
}

// readKeyFile reads the only line of a file that other users cannot read. Its group may: that is
// how a service without rights of its own gets a key.
func readKeyFile(path string) (string, error) {
	b, err := openfile.ReadSecret(path, keyFileMax)
	if err != nil {
		return "", fmt.Errorf("--key-file: %w", err)
	}
	key := strings.TrimSpace(string(b))
	if key == "" || strings.ContainsAny(key, "\r\n") {
		return "", fmt.Errorf("--key-file %s: must hold the key in one line and nothing else", path)
	}
	return key, nil
}

// keptKey reads the API key of earlier runs, or makes one of 130 random bits. The state directory may
// be where modes do not hold: a key of our own that others can read is a warning.
func keptKey(path string, log *slog.Logger) (string, error) {
	b, exposed, err := openfile.ReadOwnSecret(path, keyFileMax)
	if exposed {
		log.Warn("receive: other users can read the API key", "file", path)
	}
	if key := strings.TrimSpace(string(b)); err == nil && key != "" {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("API key: %w", err)
	}
	key := rand.Text()
	if err := atomicfile.Replace(path, 0o600, atomicfile.Bytes([]byte(key+"\n"))); err != nil {
		return "", fmt.Errorf("API key: %w", err)
	}
	return key, nil
}
