// Whether a request may: its key, its utilization id, and whether they belong together.

package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// checkKey finds the customer. A source that is known by its id shows with it that it may use that
// customer's key, however many others guess beside it. A wrong key takes the same queries as a right one:
// time must not tell them apart where the answer does not.
func (g *Gateway) checkKey(ctx context.Context, c *call) *wire.Refusal {
	if c.key == "" {
		return refuse(wire.CodeNoKey, "no key argument")
	}
	hash, now := store.HashKey(c.key), g.config.Now()
	owner := g.ownerOf(ctx, c.utilization)
	customer, err := g.config.Store.CustomerByKey(ctx, hash)
	isUnknown := errors.Is(err, store.ErrUnknown)
	if err != nil && !isUnknown {
		return g.storeFault("API keys", err)
	}
	if !isUnknown && owner == customer.ID {
		g.guesses.learn(c.from, hash)
	}
	if !g.guesses.judge(c.from, hash, !isUnknown, now) {
		return refuse(codeTooMany, "too many wrong API keys from this address: ask again later")
	}
	if isUnknown {
		return g.explainUnknownKey(ctx)
	}
	if why := checkCustomer(customer, now); why != nil {
		return why
	}
	c.customer = customer
	return nil
}

// ownerOf is the customer whose source has an id; 0: nobody that is known. Ids are hard to guess.
func (g *Gateway) ownerOf(ctx context.Context, id wire.ID) int64 {
	if id.IsZero() {
		return 0
	}
	source, err := g.config.Store.SourceByID(ctx, id)
	if err != nil {
		return 0
	}
	return source.Customer
}

func (g *Gateway) explainUnknownKey(ctx context.Context) *wire.Refusal {
	all, err := g.config.Store.Customers(ctx)
	switch {
	case err != nil:
		return g.storeFault("API keys", err)
	case len(all) == 0:
		return refuse(wire.CodeKeyUnset, "API key not configured")
	}
	return refuse(wire.CodeKeyInvalid, "API key not valid")
}

// checkCustomer says why a key that is known may do nothing.
func checkCustomer(customer store.Customer, now time.Time) *wire.Refusal {
	switch {
	case !customer.Enabled:
		return refuse(wire.CodeKeyInvalid, "API key not valid: it is disabled")
	case !customer.Valid(now):
		day := customer.ValidUntil.UTC().Format(time.DateOnly)
		return refuse(wire.CodeKeyInvalid, "API key not valid: it ended on "+day)
	}
	return nil
}

// checkID finds the source.
func (g *Gateway) checkID(ctx context.Context, c *call) *wire.Refusal {
	if c.utilization.IsZero() {
		return refuse(wire.CodeNoUtilization, "no utilization_id argument")
	}
	source, err := g.config.Store.SourceByID(ctx, c.utilization)
	switch {
	case errors.Is(err, store.ErrUnknown):
		return refuse(wire.CodeUtilizationInvalid, "utilization identifier not valid")
	case err != nil:
		return g.storeFault("utilization ids", err)
	}
	c.source = source
	return nil
}

// checkBoth finds customer and source, which belong together.
func (g *Gateway) checkBoth(ctx context.Context, c *call) *wire.Refusal {
	if why := g.checkKey(ctx, c); why != nil {
		return why
	}
	if why := g.checkID(ctx, c); why != nil {
		return why
	}
	if c.source.Customer != c.customer.ID {
		return refuse(wire.CodeKeyMismatch, "utilization identifier and API key not compatible")
	}
	return nil
}

// checkEnabled: an operator can switch a source off.
func checkEnabled(s store.Source) *wire.Refusal {
	if !s.Enabled {
		return refuse(wire.CodeUtilizationUnset, "utilization not configured: it is disabled")
	}
	return nil
}
