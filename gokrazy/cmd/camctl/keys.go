// camctl keys: makes and shows the keys that updates are signed with.

package main

import (
	"fmt"

	"aead.dev/minisign"
	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/gokrazy/update"
)

func newKeysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Makes and shows the keys that updates are signed with",
		Long: "Makes and shows the keys that updates are signed with. The secret key signs (camctl bundle)\n" +
			"and stays with you; the public key goes into images (camctl image --update-key) and into\n" +
			"krazycam.json (update.keys). Both files are minisign's own.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(newKeysNewCommand(), newKeysShowCommand())
	return cmd
}

// A keyReport describes a pair of keys, or one of them.
type keyReport struct {
	Key       string `json:"key"`              // the public key
	Name      string `json:"name"`             // 16 hexadecimal digits
	Secret    string `json:"secret,omitempty"` // file
	Public    string `json:"public,omitempty"` // file
	Protected bool   `json:"protected"`        // the secret key's file has a password
}

func newKeysNewCommand() *cobra.Command {
	var out string
	var p passwordFlags
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Makes a secret key, and its public key beside it",
		Long: "Makes a secret key, which only you can read, and its public key beside it. An existing file is\n" +
			"never replaced. On a terminal it asks for a password; an empty one leaves the file unprotected.",
		Args: cobra.NoArgs,
	}
	cmd.Flags().StringVarP(&out, "output", "o", "krazycam-update.key",
		"file of the secret key; the public one ends in .pub")
	p.add(cmd, "protect the secret key with the password in this file")
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		password, err := p.choose(cmd)
		if err != nil {
			return err
		}
		r, err := makeKeys(out, password)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, r)
		}
		w := cmd.OutOrStdout()
		fmt.Fprintf(w, "secret key  %s: keep it, and a copy elsewhere: who has it can update your boards\n", r.Secret)
		fmt.Fprintf(w, "public key  %s: camctl image --update-key %s\n", r.Public, r.Public)
		fmt.Fprintf(w, "name        %s\n%s\n", r.Name, r.Key)
		return nil
	}
	return cmd
}

func newKeysShowCommand() *cobra.Command {
	var p passwordFlags
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Shows the public key of a file, which may hold the secret one",
		Args:  exactly("FILE"),
	}
	p.add(cmd, "file with the password of the secret key")
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := describeKey(cmd, args[0], p)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, r)
		}
		fmt.Fprintln(cmd.OutOrStdout(), r.Key)
		return nil
	}
	return cmd
}

func describeKey(cmd *cobra.Command, file string, p passwordFlags) (keyReport, error) {
	b, err := readKeyText(file)
	if err != nil {
		return keyReport{}, err
	}
	if !isSecretKey(b) {
		public, err := parsePublicKey(file, b)
		if err != nil {
			return keyReport{}, err
		}
		return keyReport{Key: public.String(), Name: update.KeyName(public.ID()), Public: file}, nil
	}
	private, err := readSecretKey(cmd, file, p)
	if err != nil {
		return keyReport{}, err
	}
	public := publicOf(private)
	return keyReport{Key: public.String(), Name: update.KeyName(public.ID()), Secret: file,
		Protected: minisign.IsEncrypted(b)}, nil
}
