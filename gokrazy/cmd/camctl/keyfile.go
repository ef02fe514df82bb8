// Files of minisign's keys: made once, never replaced, and read with what others could do to them
// in mind.

package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"aead.dev/minisign"
	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/update"
)

// secretKeySize is that of the secret key's file without base64: minisign's seckey_struct.
const secretKeySize = 158

var errNoKeyFile = errors.New("no key of minisign")

// makeKeys makes a pair of keys: secret in file, public beside it. "" is no password.
func makeKeys(file, password string) (keyReport, error) {
	publicFile := strings.TrimSuffix(file, ".key") + ".pub"
	for _, f := range []string{file, publicFile} {
		if _, err := os.Lstat(f); err == nil {
			return keyReport{}, fmt.Errorf("%s: %w: a key is never replaced: choose another --output", f, fs.ErrExist)
		}
	}
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		return keyReport{}, err
	}
	secretText, err := secretKeyText(private, password)
	if err != nil {
		return keyReport{}, err
	}
	publicText, err := public.MarshalText()
	if err != nil {
		return keyReport{}, err
	}
	if err := createFile(file, 0o600, secretText); err != nil {
		return keyReport{}, err
	}
	if err := createFile(publicFile, 0o644, append(publicText, '\n')); err != nil {
		return keyReport{}, errors.Join(err, os.Remove(file))
	}
	return keyReport{Key: public.String(), Name: update.KeyName(public.ID()), Secret: file, Public: publicFile,
		Protected: password != ""}, nil
}

// secretKeyText is the file of a secret key.
func secretKeyText(private minisign.PrivateKey, password string) (text []byte, err error) {
	if password != "" {
		text, err = minisign.EncryptKey(password, private)
	} else {
		text, err = private.MarshalText()
	}
	return append(text, '\n'), err
}

// createFile makes a file that is not there yet, and has it last.
func createFile(file string, mode fs.FileMode, b []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// readKeyText reads a key's file. A secret one must be its owner's alone.
func readKeyText(file string) ([]byte, error) {
	b, err := openfile.Read(file, keyFileMax)
	if err != nil {
		return nil, err
	}
	if isSecretKey(b) {
		if err := openfile.CheckSecret(file); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// isSecretKey goes by the length of what the file says behind its comment.
func isSecretKey(text []byte) bool {
	_, key, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	b, err := base64.StdEncoding.DecodeString(string(key))
	return err == nil && len(b) == secretKeySize
}

// readSecretKey reads a secret key to sign with; it asks for the password where that is needed.
func readSecretKey(cmd *cobra.Command, file string, p passwordFlags) (minisign.PrivateKey, error) {
	b, err := readKeyText(file)
	if err != nil {
		return minisign.PrivateKey{}, err
	}
	if !isSecretKey(b) {
		return minisign.PrivateKey{}, fmt.Errorf("%s: %w that signs: give the secret key's file", file, errNoKeyFile)
	}
	var private minisign.PrivateKey
	if !minisign.IsEncrypted(b) {
		if err := private.UnmarshalText(bytes.TrimSpace(b)); err != nil {
			return private, fmt.Errorf("%s: %w", file, err)
		}
		return private, nil
	}
	password, err := p.ask(cmd, file)
	if err != nil {
		return private, err
	}
	if private, err = minisign.DecryptKey(password, bytes.TrimSpace(b)); err != nil {
		return private, fmt.Errorf("%s: wrong password, or %w", file, errNoKeyFile)
	}
	return private, nil
}

// readPublicKey reads a key that goes into an image: it refuses the secret one.
func readPublicKey(file string) (minisign.PublicKey, error) {
	b, err := openfile.Read(file, keyFileMax)
	if err != nil {
		return minisign.PublicKey{}, err
	}
	if isSecretKey(b) {
		return minisign.PublicKey{}, fmt.Errorf("%s: is the secret key: give the public one, which ends in .pub", file)
	}
	return parsePublicKey(file, b)
}

func parsePublicKey(file string, b []byte) (minisign.PublicKey, error) {
	var public minisign.PublicKey
	text := bytes.TrimSpace(b)
	if err := public.UnmarshalText(text); err != nil {
		return public, fmt.Errorf("%s: %w", file, errNoKeyFile)
	}
	return public, nil
}

// readPublicKeys gives the keys of some files as a manifest has them.
func readPublicKeys(files []string) (keys []string, err error) {
	for _, f := range files {
		public, err := readPublicKey(f)
		if err != nil {
			return nil, err
		}
		keys = append(keys, public.String())
	}
	return keys, nil
}

// publicOf is the public key of a secret one.
func publicOf(private minisign.PrivateKey) minisign.PublicKey {
	public, _ := private.Public().(minisign.PublicKey) // it is one
	return public
}
