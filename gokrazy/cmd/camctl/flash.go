// camctl flash: writes an image and a seed to a card, or to one card after the other.

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/flash"
	"github.com/krazycam/krazycam/gokrazy/flash/drive"
	"github.com/krazycam/krazycam/gokrazy/inspect"
)

// flashOptions are the flags of camctl flash.
type flashOptions struct {
	seedFile string
	seeds    string
	again    bool
	builtIn  bool
	yes      bool
	all      bool
	gateway  gatewayFlags
	web      webFlags
	asJSON   *bool
}

func newFlashCommand() *cobra.Command {
	var o flashOptions
	cmd := &cobra.Command{
		Use:   "flash IMAGE [CARD]",
		Short: "Writes an image to a card and reads it back",
		Long: "Writes an image, plain or .img.xz, to a card, such as /dev/sdb, or into a file, and reads it back.\n" +
			"Without CARD it lists the drives that can be taken out and asks which; then it asks for the gateway,\n" +
			"too, if no flag says it. Zeros are not written where the card has zeros already.\n\n" +
			"The seed is the card's own configuration: gateway, key, camera, time. A password and a TLS key\n" +
			"for the board's HTTPS are added to it, and camctl remembers the certificate's fingerprint.\n\n" +
			"--seeds FILE writes a card for each row of a table (CSV). Its first line names settings, such as\n" +
			"gateway.key, and a column name if boards have names. All rows are checked before the first card is\n" +
			"written; which are done stands in FILE.done, so that the same command goes on after an interruption.\n\n" +
			"A disk that this system runs from is never written. Linux refuses a card whose files are open;\n" +
			"macOS and Windows close them.",
		Args: between(1, "IMAGE", "CARD"),
	}
	f := cmd.Flags()
	f.StringVar(&o.seedFile, "seed", "", "krazycam.json for this card, secrets included; with --seeds: what all have")
	f.StringVar(&o.seeds, "seeds", "", "`file` of settings (CSV), one row for each card")
	f.BoolVar(&o.again, "again", false, "with --seeds: write the rows, too, that were written before")
	f.BoolVar(&o.builtIn, "built-in", false, "write even to a disk that is no card, but never to the system's own")
	f.BoolVar(&o.yes, "yes", false, "do not ask whether a drive that was chosen may be written")
	f.BoolVar(&o.all, "zeros", false, "write zeros, too, whatever the card has there")
	o.gateway.add(cmd)
	o.web.add(cmd)
	o.asJSON = f.Bool("json", false, "print one JSON object on stdout; with --seeds one for each card, on a line each")
	cmd.MarkFlagsMutuallyExclusive("seed", "gateway")
	cmd.MarkFlagsMutuallyExclusive("seeds", "gateway")
	cobra.CheckErr(cmd.MarkFlagFilename("seeds", "csv"))
	cobra.CheckErr(cmd.MarkFlagFilename("seed", "json"))
	cmd.ValidArgsFunction = completeFlash
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) }
	return cmd
}

// completeFlash offers images, then the drives that can be taken out.
func completeFlash(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return []string{"img", "xz"}, cobra.ShellCompDirectiveFilterFileExt
	case 1:
		var offers []string
		drives, _ := drive.List(cmd.Context()) // without a list there is nothing to offer
		for _, d := range drives {
			offers = append(offers, d.Path+"\t"+printable(d.Name))
		}
		return offers, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// between is for a verb with these arguments, of which the last may be missing.
func between(least int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		return exactly(names[:min(max(least, len(args)), len(names))]...)(cmd, args)
	}
}

func (o *flashOptions) run(cmd *cobra.Command, args []string) (err error) {
	if err := o.gateway.check(); err != nil {
		return err
	}
	if o.again && o.seeds == "" {
		return usagef("--again: goes with --seeds")
	}
	common, err := o.readCommon(cmd)
	if err != nil {
		return err
	}
	report := progress(cmd.ErrOrStderr())
	image, err := flash.OpenImage(cmd.Context(), args[0], report)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w: nothing was written", errInterrupted)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, image.Close()) }()
	w := flashWork{cmd: cmd, options: o, image: image, report: report, list: drive.List,
		defaults: inspect.Defaults(image, image.Size)}
	if len(args) > 1 {
		w.target = args[1]
	}
	if o.seeds != "" {
		return w.writeRows(common)
	}
	return w.writeOne(common)
}

// flashWork is one call of camctl flash.
type flashWork struct {
	cmd      *cobra.Command
	options  *flashOptions
	image    *flash.Image
	defaults []byte // of the image
	report   reporter
	list     func(context.Context) ([]drive.Drive, error)
	target   string      // "": it is asked for
	shown    drive.Drive // what a person was shown of it
}

// A writtenCard is what became of one card.
type writtenCard struct {
	flash.Result
	madeWeb
	seed []byte
}

// writeOne writes one card.
func (w *flashWork) writeOne(seed []byte) error {
	if seed != nil {
		if _, err := config.ParseSeed(w.defaults, w.options.seedFile, seed); err != nil {
			return err
		}
	}
	asked, err := w.askCard("")
	if err != nil {
		return err
	}
	if seed == nil {
		if seed, err = w.options.gateway.seed(w.cmd, w.defaults, asked); err != nil {
			return err
		}
	}
	if asked {
		if err := w.confirmOrAsk(); err != nil {
			return err
		}
	}
	done, err := w.write(seed)
	if err != nil {
		return err
	}
	if *w.options.asJSON {
		return printJSON(w.cmd, done)
	}
	w.say(done)
	if seed == nil {
		fmt.Fprintln(w.cmd.OutOrStdout(),
			"no seed: without a gateway the board streams nothing (--gateway URL, or --seed krazycam.json)")
	}
	return nil
}

// write writes the card that is there now.
func (w *flashWork) write(seed []byte) (writtenCard, error) {
	full, made, err := w.options.web.addTo(seed, w.defaults)
	if err != nil {
		return writtenCard{}, err
	}
	done, err := flash.Card(w.cmd.Context(), flash.Job{
		Image: w.image, Target: w.target, Seed: full, Sure: w.options.builtIn, All: w.options.all, Progress: w.report,
	})
	if err != nil {
		return writtenCard{}, withHint(err)
	}
	made.remember(w.cmd)
	return writtenCard{done, made, full}, nil
}

// withHint says what an owner without the rights for it can do.
func withHint(err error) error {
	if errors.Is(err, drive.ErrRights) {
		return fmt.Errorf("%w (%s)", err, administratorHint)
	}
	return err
}

func (w *flashWork) say(done writtenCard) {
	fmt.Fprintf(w.cmd.OutOrStdout(), "%s: %d bytes, %d of them written, all read back, sha256 %s, /perm has %d MiB\n",
		done.Target, done.Bytes, done.Written, done.SHA256, done.Perm>>20)
	done.madeWeb.say(w.cmd)
}

// readSeed refuses a seed that the board would refuse with these defaults of its image; "" is no seed.
func readSeed(file string, defaults []byte) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	b, err := openfile.Read(file, config.MaxBytes)
	if err != nil {
		return nil, err
	}
	if _, err := config.ParseSeed(defaults, file, b); err != nil {
		return nil, err
	}
	return b, nil
}

// readCommon reads the file of --seed, and warns of secrets in it that others can read.
func (o *flashOptions) readCommon(cmd *cobra.Command) ([]byte, error) {
	b, err := readPart(o.seedFile)
	if err == nil && hasSecret(b) {
		warnOfReaders(cmd, "--seed", o.seedFile)
	}
	return b, err
}

// hasSecret says whether a seed holds what must not be known to others.
func hasSecret(seed []byte) bool {
	c, err := config.Parse(config.SeedName, seedOrEmpty(seed))
	return err == nil && (c.Gateway.Key != "" || c.Web.PasswordHash != "" || c.Web.TLSKey != "")
}

// warnOfReaders says that others on this machine can read a file with secrets.
func warnOfReaders(cmd *cobra.Command, flag, file string) {
	if err := openfile.CheckSecret(file); err != nil {
		newLog(cmd).Warn("flash: "+flag+" holds secrets", "error", err)
	}
}

// readPart reads a seed that the image's defaults, or a row of a table, may complete: what is wrong with
// its own keys is said before an image is unpacked.
func readPart(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	b, err := openfile.Read(file, config.MaxBytes)
	if err != nil {
		return nil, err
	}
	if _, err := config.Parse(file, b); err != nil {
		return nil, err
	}
	return b, nil
}

// imageDefaults are those of an image; nil if it cannot be read, which whoever needs it reports.
func imageDefaults(image string) []byte {
	f, size, err := openfile.Disk(image, os.O_RDONLY)
	if err != nil {
		return nil
	}
	defer f.Close()
	return inspect.Defaults(f, size)
}
