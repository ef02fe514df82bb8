// camserver keys: customers and their API keys.

package adminverbs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/krazycam/krazycam/farend/api"
	"github.com/krazycam/krazycam/farend/store"
)

func newKeys(open Opener) *cobra.Command {
	return group("keys", "Customers: their API keys, and what these allow",
		newKeysList(open), newKeysAdd(open), newKeysChange(open), newKeysRemove(open), newKeysAdmin(open))
}

func newKeysList(open Opener) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "Lists customers", Args: cobra.NoArgs}
	return verb(open, cmd, func(ctx context.Context, j *job, _ []string) error {
		all, err := j.store.Customers(ctx)
		if err != nil {
			return err
		}
		running, err := j.store.ActiveStreams(ctx, store.StreamFilter{})
		if err != nil {
			return err
		}
		streams := map[int64]int{}
		for _, s := range running {
			streams[s.Customer]++
		}
		views := make([]api.Customer, 0, len(all))
		for _, c := range all {
			views = append(views, api.CustomerOf(c))
		}
		return j.print(map[string]any{"keys": views}, func(line func(...any)) {
			line("ID", "NAME", "ENABLED", "VALID UNTIL", "CAMERAS", "RUN NOW", "ANALYSES")
			for _, c := range all {
				line(c.ID, c.Name, yesNo(c.Enabled), until(c.ValidUntil), cameras(c.CamerasMax), streams[c.ID],
					strings.Join(c.Analyses, ","))
			}
		})
	})
}

func until(t time.Time) string {
	if t.IsZero() {
		return "for ever"
	}
	return t.UTC().Format("2006-01-02 15:04 MST")
}

func cameras(most int) string {
	if most == 0 {
		return "any"
	}
	return strconv.Itoa(most)
}

// keyFlags are what may be said of a customer.
type keyFlags struct {
	customer store.Customer
	until    untilValue
}

// An untilValue is a time, or never.
type untilValue struct{ at *time.Time }

// Set takes a day, a time, or never.
func (u untilValue) Set(s string) error {
	if s == "never" {
		*u.at = time.Time{}
		return nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil && store.CheckUntil(t) == nil {
			*u.at = t.UTC()
			return nil
		}
	}
	return errors.New(`must be after 1970: a day (2027-01-31), a time (2027-01-31T12:00:00Z) or "never"`)
}

// String is nothing: until it is set, there is no end.
func (u untilValue) String() string { return "" }

// Type is what help shows.
func (u untilValue) Type() string { return "DAY" }

func (k *keyFlags) add(f *pflag.FlagSet, c store.Customer) {
	k.customer, k.until = c, untilValue{&k.customer.ValidUntil}
	f.IntVar(&k.customer.CamerasMax, "cameras", c.CamerasMax, "`N` cameras at once; 0: any number")
	f.StringSliceVar(&k.customer.Analyses, "analyses", nil, "`NAMES` of analyses that the customer may have")
	f.Var(k.until, "valid-until", `last day, a time, or "never"`)
	f.BoolVar(&k.customer.Enabled, "enabled", c.Enabled, "false: its cameras are refused, and streams end")
	f.Int64Var(&k.customer.RecordBytes, "record-bytes", 0,
		"`BYTES` of recordings kept; 0: the server's default, -1: none")
	f.DurationVar(&k.customer.RecordAge, "record-age", 0, "how long recordings are kept; 0: the server's default")
}

// apply takes what was said over c.
func (k *keyFlags) apply(f *pflag.FlagSet, c *store.Customer) error {
	said := func(name string, take func()) {
		if f.Changed(name) {
			take()
		}
	}
	said("cameras", func() { c.CamerasMax = k.customer.CamerasMax })
	said("analyses", func() { c.Analyses = k.customer.Analyses })
	said("valid-until", func() { c.ValidUntil = k.customer.ValidUntil })
	said("enabled", func() { c.Enabled = k.customer.Enabled })
	said("record-bytes", func() { c.RecordBytes = k.customer.RecordBytes })
	said("record-age", func() { c.RecordAge = k.customer.RecordAge })
	return api.CheckCustomer(*c)
}

func newKeysAdd(open Opener) *cobra.Command {
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Adds a customer and prints its API key, once", Args: cobra.ExactArgs(1),
		Example: "  camserver keys add 'Green Farm' --cameras 4 --valid-until 2027-12-31",
	}
	var flags keyFlags
	flags.add(cmd.Flags(), store.Customer{Enabled: true, CamerasMax: 1})
	return verb(open, cmd, func(ctx context.Context, j *job, args []string) error {
		key := api.NewKey()
		c := store.Customer{Name: strings.TrimSpace(args[0]), KeyHash: store.HashKey(key), Enabled: true, CamerasMax: 1,
			Made: j.now}
		if err := flags.apply(j.Flags(), &c); err != nil {
			return err
		}
		var err error
		if c.ID, err = j.store.AddCustomer(ctx, c); err != nil {
			return err
		}
		return errors.Join(j.note(ctx, store.Event{Customer: c.ID, Kind: "customer added", Words: c.Name}),
			j.printKey(c, key))
	})
}

// printKey prints a customer with a key that was made now.
func (j *job) printKey(c store.Customer, key string) error {
	view := api.CustomerOf(c)
	view.Key = key
	return j.print(view, func(line func(...any)) {
		line(fmt.Sprintf("key of %s (ID %d), which is shown this once: %s", c.Name, c.ID, key))
	})
}

func newKeysChange(open Opener) *cobra.Command {
	cmd := &cobra.Command{
		Use: "change NAME|ID", Short: "Changes what a customer may do; what is not said stays",
		Args: cobra.ExactArgs(1),
	}
	var flags keyFlags
	flags.add(cmd.Flags(), store.Customer{Enabled: true})
	name := cmd.Flags().String("name", "", "new `NAME`")
	renew := cmd.Flags().Bool("new-key", false, "make a new API key, which is printed once; the old one ends")
	return verb(open, cmd, func(ctx context.Context, j *job, args []string) error {
		c, err := j.customer(ctx, args[0])
		if err != nil {
			return err
		}
		key := ""
		if *renew {
			key = api.NewKey()
		}
		c, err = j.store.ChangeCustomer(ctx, c.ID, func(c *store.Customer) error {
			if j.Flags().Changed("name") {
				c.Name = strings.TrimSpace(*name)
			}
			if key != "" {
				c.KeyHash = store.HashKey(key)
			}
			return flags.apply(j.Flags(), c)
		})
		if err != nil {
			return err
		}
		err = j.note(ctx, store.Event{Customer: c.ID, Kind: "customer changed", Words: c.Name})
		if key != "" {
			return errors.Join(err, j.printKey(c, key))
		}
		return errors.Join(err, j.print(api.CustomerOf(c), func(line func(...any)) { line("changed " + c.Name) }))
	})
}

// customer finds one by its ID, or by its name.
func (j *job) customer(ctx context.Context, named string) (store.Customer, error) {
	all, err := j.store.Customers(ctx)
	if err != nil {
		return store.Customer{}, err
	}
	id, _ := strconv.ParseInt(named, 10, 64) // 0 is none
	for _, c := range all {
		if c.Name == named {
			return c, nil
		}
	}
	for _, c := range all {
		if c.ID == id {
			return c, nil
		}
	}
	return store.Customer{}, fmt.Errorf("no customer has the name or ID %q: camserver keys list shows all", named)
}

func newKeysRemove(open Opener) *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove NAME|ID", Short: "Removes a customer with its boards and what is known of their streams",
		Args: cobra.ExactArgs(1),
	}
	return verb(open, cmd, func(ctx context.Context, j *job, args []string) error {
		c, err := j.customer(ctx, args[0])
		if err != nil {
			return err
		}
		err = j.store.RemoveCustomer(ctx, c.ID)
		if errors.Is(err, store.ErrActive) {
			return fmt.Errorf("streams of %s run: camserver keys change %d --enabled=false ends them within seconds, "+
				"then remove it", c.Name, c.ID)
		}
		if err != nil {
			return err
		}
		return errors.Join(j.note(ctx, store.Event{Kind: "customer removed", Words: c.Name}),
			j.print(map[string]any{"removed": c.ID}, func(line func(...any)) { line("removed " + c.Name) }))
	})
}

func newKeysAdmin(open Opener) *cobra.Command {
	cmd := &cobra.Command{
		Use: "admin", Short: "Makes the administrator's token of the API and prints it, once; an earlier one ends",
		Args: cobra.NoArgs,
	}
	return verb(open, cmd, func(ctx context.Context, j *job, _ []string) error {
		token := api.NewToken()
		if err := j.store.SetSetting(ctx, api.AdministratorSetting, store.HashKey(token)); err != nil {
			return err
		}
		return errors.Join(j.note(ctx, store.Event{Kind: "administrator's token made"}),
			j.print(map[string]any{"token": token}, func(line func(...any)) {
				line("administrator's token, which is shown this once: " + token)
			}))
	})
}
