// camctl image: makes an image out of programs, kernel and boot firmware.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/krazycam/krazycam/board"
	"github.com/krazycam/krazycam/firmware/config"
	"github.com/krazycam/krazycam/firmware/openfile"
	"github.com/krazycam/krazycam/gokrazy/image"
)

// maxPins is far above the few kB of scripts/pins.
const maxPins = 1 << 20

type imageFlags struct {
	board, out, config, programs, kernel, firmware, uBoot, pins string

	updateKeys []string // files
	version    string
	index      int64
}

// add declares the flags.
func (f *imageFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.board, "board", "", "the board to make it for (camctl boards lists them)")
	flags.StringVarP(&f.out, "output", "o", "", "the image to write, such as cam.img")
	flags.StringVar(&f.config, "config", "", "a krazycam.json without secrets that new cards begin with")
	flags.StringVar(&f.programs, "programs", "", "folder with the board's programs (default out/ARCH)")
	flags.StringVar(&f.kernel, "kernel", "",
		"folder with kernel, device trees and modules (default from the Go module, if it is one)")
	flags.StringVar(&f.firmware, "boot-firmware", "",
		"folder with the boot firmware (default from the Go module, if it is one)")
	flags.StringVar(&f.uBoot, "u-boot", "",
		"folder with u-boot.bin, for a board whose boot firmware starts it (scripts/parts fetches it)")
	flags.StringVar(&f.pins, "pins", "scripts/pins",
		"file with the versions of the C libraries, for the bill of materials")
	flags.StringArrayVar(&f.updateKeys, "update-key", nil,
		"public key that may sign updates of the image (camctl keys new); may be repeated")
	flags.StringVar(&f.version, "version", "", "name of this version (default the commit of the programs)")
	flags.Int64Var(&f.index, "index", 0, "its index: a higher one is newer (default that commit's Unix time)")
}

func newImageCommand() *cobra.Command {
	var f imageFlags
	cmd := &cobra.Command{
		Use:   "image --board BOARD -o FILE",
		Short: "Makes an image that can be flashed, and its bill of materials",
		Long: "Makes an image that can be flashed, and its bill of materials beside it.\n" +
			"The programs come from scripts/build; kernel and boot firmware are Go modules,\n" +
			"found with the go command, or Debian packages, fetched by scripts/parts.\n" +
			"The image holds no secret: give those to camctl flash.",
		Args: cobra.NoArgs,
	}
	f.add(cmd.Flags())
	for _, name := range []string{"board", "output"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			cobra.CheckErr(err)
		}
	}
	if err := cmd.RegisterFlagCompletionFunc("board", boardNames); err != nil {
		cobra.CheckErr(err)
	}
	asJSON := addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		result, err := makeImage(cmd, f)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(cmd, result)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s: board %s, kernel %s, %d MiB, sha256 %s\n",
			result.Image, result.Board, result.Kernel, result.Size>>20, result.SHA256)
		if len(f.updateKeys) == 0 {
			fmt.Fprintln(cmd.OutOrStdout(),
				"no update key: a board takes no update unless its seed has one (--update-key, camctl keys new)")
		}
		return nil
	}
	return cmd
}

func makeImage(cmd *cobra.Command, f imageFlags) (image.Result, error) {
	b, err := board.ByName(f.board)
	if err != nil {
		return image.Result{}, usageError{err}
	}
	parts := image.Parts{Programs: f.programs, Version: f.version, Index: f.index}
	if parts.UpdateKeys, err = readPublicKeys(f.updateKeys); err != nil {
		return image.Result{}, err
	}
	if parts.Programs == "" {
		parts.Programs = filepath.Join("out", b.Arch)
	}
	if parts.Defaults, err = readDefaults(f.config); err != nil {
		return image.Result{}, err
	}
	if parts.Pins, err = openfile.Read(f.pins, maxPins); err != nil &&
		(cmd.Flags().Changed("pins") || !errors.Is(err, os.ErrNotExist)) {
		return image.Result{}, err
	}
	ctx := cmd.Context()
	if err := f.findFolders(ctx, b); err != nil {
		return image.Result{}, err
	}
	if parts.Kernel, err = findPackage(ctx, b.Kernel, f.kernel, parts.Pins); err != nil {
		return image.Result{}, err
	}
	if parts.Firmware, err = findPackage(ctx, b.BootFirmware, f.firmware, parts.Pins); err != nil {
		return image.Result{}, err
	}
	if b.UBoot != (board.Origin{}) {
		if parts.UBoot, err = findPackage(ctx, b.UBoot, f.uBoot, parts.Pins); err != nil {
			return image.Result{}, err
		}
	}
	if parts.Licences, err = licences(ctx); err != nil {
		return image.Result{}, err
	}
	return image.Build(ctx, b, parts, f.out, newLog(cmd))
}

// readDefaults refuses secrets and identity: an image is something that can be published.
func readDefaults(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	b, err := openfile.Read(file, config.MaxBytes)
	if err != nil {
		return nil, err
	}
	c, err := config.Parse(file, b)
	if err != nil {
		return nil, err
	}
	if secrets := c.Secrets(); len(secrets) > 0 {
		return nil, fmt.Errorf("%s: %s: an image holds no secret: give it to camctl flash --seed", file,
			strings.Join(secrets, ", "))
	}
	if c.Web.TLSCertificate != "" {
		return nil, fmt.Errorf("%s: web.tls-certificate: an image holds no identity: give it to camctl flash --seed",
			file)
	}
	return b, nil
}

// licences finds the folders of Go, its module cache and this repository.
func licences(ctx context.Context) (func(modulePath, version string) ([]byte, error), error) {
	env, err := goCommand(ctx, "env", "-json", "GOROOT", "GOMODCACHE")
	if err != nil {
		return nil, err
	}
	own, err := goCommand(ctx, "list", "-m", "-json")
	if err != nil {
		return nil, err
	}
	var folders struct{ GOROOT, GOMODCACHE string }
	var main struct{ Path, Dir string }
	if err := errors.Join(json.Unmarshal(env, &folders), json.Unmarshal(own, &main)); err != nil {
		return nil, fmt.Errorf("go env, go list: %w", err)
	}
	return image.ModuleCacheLicences(folders.GOROOT, folders.GOMODCACHE, main.Path, main.Dir), nil
}

// goCommand runs the go command in this repository.
func goCommand(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, "go", args...).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(failed.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: camctl image needs Go and krazycam's repository as the current folder",
			strings.Join(args, " "), err)
	}
	return out, nil
}
