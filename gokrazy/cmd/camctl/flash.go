// camctl flash: writes an image and a seed to a card.

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/flash"
	"github.com/krazycam/krazycam/gokrazy/inspect"
)

func newFlashCommand() *cobra.Command {
	var seedFile string
	var sure bool
	var web webFlags
	cmd := &cobra.Command{
		Use:   "flash IMAGE CARD",
		Short: "Writes an image to a card and reads it back",
		Long: "Writes an image to a card, such as /dev/sdb, or into a file, and reads it back.\n" +
			"The seed is the card's own configuration: gateway, key, camera, time. A password and a TLS key\n" +
			"for the board's HTTPS are added to it, and camctl remembers the certificate's fingerprint.",
		Args: exactly("IMAGE", "CARD"),
	}
	cmd.Flags().StringVar(&seedFile, "seed", "", "krazycam.json for this card, secrets included")
	cmd.Flags().BoolVar(&sure, "yes", false, "write even to a disk that is built in")
	web.add(cmd)
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		seed, err := readSeed(seedFile, args[0])
		if err != nil {
			return err
		}
		seed, made, err := web.addTo(seed, args[0])
		if err != nil {
			return err
		}
		done, err := flash.Card(cmd.Context(), flash.Job{
			Image: args[0], Target: args[1], Seed: seed, Sure: sure, Progress: progress(cmd.ErrOrStderr()),
		})
		if err != nil {
			return err
		}
		made.remember(cmd)
		if *asJSON {
			return printJSON(cmd, struct {
				flash.Result
				madeWeb
			}{done, made})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes written and read back, sha256 %s, /perm has %d MiB\n",
			done.Target, done.Bytes, done.SHA256, done.Perm>>20)
		made.say(cmd)
		if seedFile == "" {
			fmt.Fprintln(cmd.OutOrStdout(),
				"no seed: without a gateway the board streams nothing (--seed krazycam.json)")
		}
		return nil
	}
	return cmd
}

// readSeed refuses a seed that the board would refuse with this image; "" is no seed.
func readSeed(file, image string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	b, err := openfile.Read(file, config.MaxBytes)
	if err != nil {
		return nil, err
	}
	if _, err := config.ParseSeed(imageDefaults(image), file, b); err != nil {
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
