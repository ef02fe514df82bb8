// camserver without a verb: the server.

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/krazycam/krazycam/farend/api"
	"github.com/krazycam/krazycam/farend/server"
	"github.com/krazycam/krazycam/farend/settings"
	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/store/postgres"
	"github.com/krazycam/krazycam/farend/store/sqlite"
	"github.com/krazycam/krazycam/firmware/atomicfile"
	"github.com/krazycam/krazycam/firmware/openfile"
)

func newServeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "camserver",
		Short: "Grants, receives and records the streams of many cameras",
		Long: "camserver grants, receives and records the streams of many cameras: gateway, receivers, API\n" +
			"and metrics in one program. What a flag says outweighs what the configuration file says, where it\n" +
			"has a key of its group (docs/camserver.md). The first start prints what an owner must know.",
		Example: serveExamples,
		Args:    cobra.NoArgs,
	}
	o := addOptions(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, err := o.settings()
		if err != nil {
			return err
		}
		return serve(cmd.Context(), s, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

const serveExamples = `  camserver --state /srv/camserver
  camserver --config /etc/camserver/camserver.json
  camserver --database postgres://camserver@db.example/camserver --control 10.0.0.1:8082`

// serve runs the server until ctx ends.
func serve(ctx context.Context, s settings.Settings, stdout, stderr io.Writer) error {
	log := newLog(s.Log, stderr)
	srv, err := server.Open(ctx, server.Config{
		Settings: s, Program: "camserver", Version: versionText(), Log: log,
		PortsHint: "choose others with --ports",
		Parts:     makeParts,
		OpenStore: func(ctx context.Context) (*store.Store, error) { return openStore(ctx, s.State) },
	})
	if err != nil {
		return err
	}
	if err := announce(ctx, srv, s, stdout); err != nil {
		srv.Close()
		return err
	}
	return srv.Run(ctx)
}

func newLog(l settings.Log, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// openStore opens the database that the settings name; the state folder must be there.
func openStore(ctx context.Context, s settings.State) (*store.Store, error) {
	if s.Database != "" {
		return postgres.Open(ctx, s.Database)
	}
	return sqlite.Open(ctx, filepath.Join(s.Folder, server.DatabaseFile))
}

// announce prints what an owner must know of a first start, and that cameras may ask.
func announce(ctx context.Context, srv *server.Server, s settings.Settings, stdout io.Writer) error {
	if err := announceKey(ctx, srv, s.State.Folder, stdout); err != nil {
		return err
	}
	if err := announceToken(ctx, srv.Store(), stdout); err != nil {
		return err
	}
	if _, err := srv.Store().ImportIDs(ctx, filepath.Join(s.State.Folder, server.OldIDs)); err != nil {
		return err // each start tries again, until that file is mended or moved away
	}
	rtp, rtcp := srv.Ports()
	fmt.Fprintf(stdout, "camserver READY gateway=%s rtp=%s rtcp=%s\n", srv.URL(), rtp, rtcp)
	return nil
}

// announceKey makes a key where nobody has one yet, and shows it. Its seed is on the disk before the customer
// is in the database: whatever ends the program then, the key is not lost.
func announceKey(ctx context.Context, srv *server.Server, folder string, stdout io.Writer) error {
	all, err := srv.Store().Customers(ctx)
	if err != nil || len(all) > 0 {
		return err
	}
	key, err := firstKey(folder)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, firstCustomer+"-krazycam.json")
	seed := atomicfile.Bytes([]byte(srv.Seed(key) + "\n"))
	if err := atomicfile.ReplaceDurably(path, 0o600, seed); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	_, err = srv.Store().AddCustomer(ctx, store.Customer{
		Name: firstCustomer, KeyHash: store.HashKey(key), Enabled: true, Made: time.Now(),
	})
	if errors.Is(err, store.ErrExists) { // another server of this database was faster: this seed is of no use
		return os.Remove(path)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "first start: key of the customer %q: %s\n", firstCustomer, key)
	fmt.Fprintf(stdout, "first start: krazycam.json for a camera: %s\n", path)
	return nil
}

// announceToken makes the administrator's token where there is none, and shows it this once.
func announceToken(ctx context.Context, s *store.Store, stdout io.Writer) error {
	token := api.NewToken()
	hash, err := s.InitSetting(ctx, api.AdministratorSetting, store.HashKey(token))
	if err == nil && hash == store.HashKey(token) {
		fmt.Fprintf(stdout, "first start: token of the administrator: %s\n", token)
	}
	return err
}

// firstCustomer is the name of the customer that a first start makes.
const firstCustomer = "first"

// firstKey makes a key. In a folder of camctl receive it is the one that is there, and boards keep their ids.
func firstKey(folder string) (string, error) {
	b, _, err := openfile.ReadOwnSecret(filepath.Join(folder, "key"), keyMax)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("API key: %w", err)
	}
	return cmp.Or(strings.TrimSpace(string(b)), rand.Text()), nil
}

// keyMax is above the 1024 bytes that a board's configuration takes as a key.
const keyMax = 4096
