// Which TLS pair the board shows: the card's, else its own.

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/certificate"
)

// The board's own pair, in one file: half a pair after a power cut would be none.
const pairFile = board.WebKeyFile

// maxPair bounds the file: a pair has 1 kB.
const maxPair = 64 << 10

// choosePair gives the configuration's pair. If that says nothing, or its key and certificate do not
// fit, the board's own is taken, and made if there is none. Without a folder to keep it in the board
// still has one, until the power goes off: it can then be asked what is wrong.
func choosePair(web config.Web, folder string, log *slog.Logger) (certificate.Pair, tls.Certificate) {
	if web.TLSCertificate != "" || web.TLSKey != "" {
		pair := certificate.Pair{Certificate: web.TLSCertificate, Key: web.TLSKey}
		cert, err := pair.TLS()
		if err == nil {
			return pair, cert
		}
		log.Error("web.tls-certificate and web.tls-key are not used: the board shows a certificate of its own",
			"error", err)
	}
	pair, cert, err := ownPair(filepath.Join(folder, pairFile), log)
	if err != nil {
		log.Error("the board's TLS key is a new one at each start", "error", err)
	}
	return pair, cert
}

// ownPair reads the pair at path, or makes one and keeps it. A pair is returned even with an error.
func ownPair(path string, log *slog.Logger) (certificate.Pair, tls.Certificate, error) {
	text, readErr := openfile.Read(path, maxPair)
	if readErr == nil {
		pair := certificate.Pair{Certificate: string(text), Key: string(text)}
		cert, err := pair.TLS()
		if err == nil {
			return pair, cert, nil
		}
		log.Warn("the board's TLS key was damaged: it has a new one, and another fingerprint", "error", err)
	}
	if errors.Is(readErr, fs.ErrNotExist) {
		readErr = nil
	}
	pair, err := certificate.Make()
	if err != nil {
		return pair, tls.Certificate{}, errors.Join(readErr, err)
	}
	cert, err := pair.TLS()
	if err == nil {
		err = atomicfile.ReplaceDurably(path, 0o600, atomicfile.Bytes([]byte(pair.Certificate+pair.Key)))
	}
	if err := errors.Join(readErr, err); err != nil {
		return pair, cert, fmt.Errorf("keep the TLS key: %w", err)
	}
	return pair, cert, nil
}
