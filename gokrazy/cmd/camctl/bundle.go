// camctl bundle: makes a signed update out of an image.

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aead.dev/minisign"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/gokrazy/update"
)

type bundleFlags struct {
	board, key, image, out, version, since string

	index    int64
	trialS   int
	nextKeys []string // files
	password passwordFlags
}

// A bundleReport describes a bundle that was made.
type bundleReport struct {
	Bundle  string   `json:"bundle"` // file
	Board   string   `json:"board"`
	Version string   `json:"version"`
	Index   int64    `json:"index"`
	TrialS  int      `json:"trial_s"`
	Size    int64    `json:"size"`   // bytes
	SHA256  string   `json:"sha256"` // of the file
	Signed  string   `json:"signed"` // name of the key
	Keys    []string `json:"keys"`   // that may sign what comes after it
}

func newBundleCommand() *cobra.Command {
	var f bundleFlags
	cmd := &cobra.Command{
		Use:   "bundle --board BOARD --key FILE",
		Short: "Makes a signed update out of an image",
		Long: "Makes a signed update out of slot a of an image, so that what was tested is what boards get.\n" +
			"A board takes it if one of its update keys signed it and its index is higher than that of the\n" +
			"version that runs. The keys that may sign the update after this one are those that the image\n" +
			"has (camctl image --update-key), or the one that signs; with --next-key, those and no other.",
		Args: cobra.NoArgs,
	}
	f.add(cmd)
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		r, err := makeBundle(cmd, f)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, r)
		}
		w := cmd.OutOrStdout()
		fmt.Fprintf(w, "%s: version %s for board %s, index %d, %d bytes, sha256 %s\n",
			r.Bundle, r.Version, r.Board, r.Index, r.Size, r.SHA256)
		fmt.Fprintf(w, "signed by %s; the next update must be signed by %s\n",
			r.Signed, strings.Join(keyNames(r.Keys), " or "))
		return nil
	}
	return cmd
}

// add declares the flags.
func (f *bundleFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.board, "board", "", "the board that it is for (camctl boards lists them)")
	flags.StringVar(&f.key, "key", "", "file of the secret key that signs it (camctl keys new)")
	f.password.add(cmd, "file with the password of that key")
	flags.StringVar(&f.image, "image", "", "the image (default out/BOARD.img)")
	flags.StringVarP(&f.out, "output", "o", "", "the bundle to write (default krazycam-VERSION-BOARD.update)")
	flags.StringVar(&f.version, "version", "", "name of the version (default that of the image)")
	flags.Int64Var(&f.index, "index", 0, "its index: a higher one is newer (default that of the image)")
	flags.StringVar(&f.since, "since", "", "the last bundle or image: refuse an index that is not higher than its own")
	flags.IntVar(&f.trialS, "trial-s", update.DefaultTrialS,
		"seconds that the new version must do its work before a board keeps it")
	flags.StringArrayVar(&f.nextKeys, "next-key", nil, "public key that may sign the next update; may be repeated")
	for _, name := range []string{"board", "key"} {
		cobra.CheckErr(cmd.MarkFlagRequired(name))
	}
	cobra.CheckErr(cmd.RegisterFlagCompletionFunc("board", boardNames))
}

// makeBundle asks for the password before it works.
func makeBundle(cmd *cobra.Command, f bundleFlags) (bundleReport, error) {
	if _, err := board.ByName(f.board); err != nil {
		return bundleReport{}, usageError{err}
	}
	nextKeys, err := readPublicKeys(f.nextKeys)
	if err != nil {
		return bundleReport{}, err
	}
	private, err := readSecretKey(cmd, f.key, f.password)
	if err != nil {
		return bundleReport{}, err
	}
	imageFile := cmp.Or(f.image, filepath.Join("out", f.board+".img"))
	r, size, err := openUnpacked(imageFile)
	if err != nil {
		return bundleReport{}, fmt.Errorf("%w (scripts/image %s makes it)", err, f.board)
	}
	defer r.Close()
	source, err := update.ReadImage(r, size)
	if err != nil {
		return bundleReport{}, fmt.Errorf("%s: %w", imageFile, err)
	}
	m, err := f.manifest(source.Manifest, publicOf(private).String(), nextKeys, cmd.Flags())
	if err != nil {
		return bundleReport{}, err
	}
	if !slices.Contains(m.Keys, publicOf(private).String()) {
		newLog(cmd).Warn("bundle: after this update its key signs no more", "next", keyNames(m.Keys))
	}
	return f.write(cmd, m, private, source)
}

// manifest is the image's, with what the command line says.
func (f bundleFlags) manifest(m update.Manifest, key string, next []string, flags *pflag.FlagSet) (
	update.Manifest, error) {
	if m.Board != f.board {
		return m, fmt.Errorf("the image is for board %s, not %s", m.Board, f.board)
	}
	m.Version = cmp.Or(f.version, m.Version)
	m.TrialS = f.trialS
	if flags.Changed("index") {
		m.Index = f.index
	}
	switch {
	case len(next) > 0:
		m.Keys = next
	case len(m.Keys) == 0:
		m.Keys = []string{key} // without one, boards would take nothing after this update
	}
	if f.since == "" {
		return m, nil
	}
	last, err := manifestOf(f.since)
	if err != nil {
		return m, fmt.Errorf("--since %s: %w", f.since, err)
	}
	if m.Index <= last.Index {
		return m, fmt.Errorf("index %d is not higher than %d, that of version %s in %s: commit, or give --index",
			m.Index, last.Index, last.Version, f.since)
	}
	return m, nil
}

// manifestOf reads the manifest of a bundle or an image.
func manifestOf(file string) (update.Manifest, error) {
	r, size, err := openUnpacked(file)
	if err != nil {
		return update.Manifest{}, err
	}
	defer r.Close()
	b, bundleErr := update.OpenBundle(r, size)
	if bundleErr == nil {
		return b.Manifest, nil
	}
	i, err := update.ReadImage(r, size)
	if err != nil {
		return update.Manifest{}, fmt.Errorf("neither a bundle (%w) nor an image (%w)", bundleErr, err)
	}
	return i.Manifest, nil
}

// write signs and writes. The signature says nothing that the manifest does not: the same image and
// key give the same file.
func (f bundleFlags) write(cmd *cobra.Command, m update.Manifest, private minisign.PrivateKey, source *update.Image) (
	bundleReport, error) {
	raw, err := m.Encode()
	if err != nil {
		return bundleReport{}, err
	}
	sig := signManifest(private, raw, m)
	r := bundleReport{
		Bundle: cmp.Or(f.out, m.BundleName()), Board: m.Board, Version: m.Version, Index: m.Index, TrialS: m.TrialS,
		Signed: update.KeyName(private.ID()), Keys: m.Keys,
	}
	_, r.Size = update.Offsets(m.Parts, len(raw), len(sig))
	err = atomicfile.Write(r.Bundle, 0o644, func(out *os.File) error {
		w := &meter{ctx: cmd.Context(), w: out, sum: sha256.New(), total: r.Size, report: progress(cmd.ErrOrStderr())}
		if err := update.WriteBundle(w, raw, sig, m.Parts, source.Open); err != nil {
			return err
		}
		r.SHA256 = hex.EncodeToString(w.sum.Sum(nil))
		return nil
	})
	if errors.Is(err, update.ErrPart) {
		err = fmt.Errorf("the image is not what its manifest says: make it anew: %w", err)
	}
	return r, err
}

// signManifest signs in minisign's hashed form.
func signManifest(private minisign.PrivateKey, raw []byte, m update.Manifest) []byte {
	r := minisign.NewReader(bytes.NewReader(raw))
	_, _ = io.Copy(io.Discard, r) // from memory
	return r.SignWithComments(private, fmt.Sprintf("krazycam %s for %s, index %d", m.Version, m.Board, m.Index),
		"signature of key "+update.KeyName(private.ID()))
}

// keyNames are the names of keys that were checked.
func keyNames(keys []string) (names []string) {
	for _, k := range keys {
		if public, err := parsePublicKey("", []byte(k)); err == nil {
			names = append(names, update.KeyName(public.ID()))
		}
	}
	return names
}

// A meter hashes and reports what is written, until its context ends.
type meter struct {
	ctx         context.Context
	w           io.Writer
	sum         hash.Hash
	done, total int64
	report      reporter
}

func (m *meter) Write(b []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.w.Write(b)
	m.sum.Write(b[:n])
	m.done += int64(n)
	m.report("bundle", m.done, m.total)
	return n, err
}
