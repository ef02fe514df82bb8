// The action admin: an operator's keys and streams by the same URL. The same can be done by camserver's
// API and command line.

package gateway

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/krazycam/krazycam/farend/store"
	"github.com/krazycam/krazycam/farend/stream"
	"github.com/krazycam/krazycam/firmware/gateway/wire"
)

// adminAnswer is what admin answers beyond "ok".
type adminAnswer struct {
	Keys    []adminKey    `json:"keys,omitzero"`
	Streams []adminStream `json:"streams,omitzero"`
	ID      int64         `json:"id,omitempty"`  // of a key that was added
	Key     string        `json:"key,omitempty"` // that was made: it is shown once
}

type adminKey struct {
	ID          int64      `json:"id"`
	Name        string     `json:"name"`
	Enabled     bool       `json:"enabled"`
	CamerasMax  int        `json:"cameras_max"`
	Analyses    []string   `json:"analyses"`
	ValidUntil  *time.Time `json:"valid_until,omitempty"`
	RecordBytes int64      `json:"record_bytes"`
	RecordAgeS  int64      `json:"record_age_s"`
	Made        time.Time  `json:"made"`
}

type adminStream struct {
	ID          string    `json:"id"`
	Utilization wire.ID   `json:"utilization_id"`
	KeyID       int64     `json:"key_id"`
	Server      string    `json:"server"`
	Asker       string    `json:"asker"`
	Since       time.Time `json:"since"`
	LastSeen    time.Time `json:"last_seen"`
	State       string    `json:"state"`
}

// adminCommands are what the action can do, by command.
func (g *Gateway) adminCommands() map[string]func(context.Context, *call) (reply, *wire.Refusal) {
	return map[string]func(context.Context, *call) (reply, *wire.Refusal){
		"list_keys": g.listKeys, "add_key": g.addKey, "change_key": g.changeKey, "remove_key": g.removeKey,
		"list_streams": g.listStreams, "stop_stream": g.stopAnyStream,
	}
}

func (g *Gateway) administer(ctx context.Context, c *call) (reply, *wire.Refusal) {
	var user, password, command string
	for name, to := range map[string]*string{"user": &user, "password": &password, "command": &command} {
		_ = json.Unmarshal(c.fields[name], to) // unreadable is missing
	}
	if user == "" || password == "" {
		return reply{}, refuse(wire.CodeNoAdministrator, "missing administrator credentials: user, password")
	}
	if why := g.checkAdministrator(c, user, password); why != nil {
		return reply{}, why
	}
	do, known := g.adminCommands()[command]
	if !known {
		return reply{}, missing("command: list_keys, add_key, change_key, remove_key, list_streams or stop_stream")
	}
	answer, why := do(ctx, c)
	if why == nil && command != "list_keys" && command != "list_streams" {
		g.config.Log.Info("gateway: administrator", "command", command, "from", c.from.String())
	}
	return answer, why
}

func missing(what string) *wire.Refusal {
	return refuse(wire.CodeNoAdministrator, "missing request arguments: "+what)
}

// checkAdministrator takes as long for a wrong name as for a wrong password.
func (g *Gateway) checkAdministrator(c *call, user, password string) *wire.Refusal {
	if !c.isSecure && !c.from.IsLoopback() {
		return refuse(wire.CodeAdministratorInvalid, "an administrator's password travels over https only")
	}
	given := store.HashKey(user) + store.HashKey(password)
	own := store.HashKey(g.config.AdminUser) + store.HashKey(g.config.AdminPassword)
	isRight := subtle.ConstantTimeCompare([]byte(given), []byte(own)) == 1 && g.config.AdminPassword != ""
	if !g.admins.judge(c.from, given, isRight, g.config.Now()) {
		return refuse(codeTooMany, "too many wrong passwords from this address: ask again later")
	}
	if !isRight {
		return refuse(wire.CodeAdministratorInvalid, "administrator credentials not valid")
	}
	return nil
}

func (g *Gateway) listKeys(ctx context.Context, _ *call) (reply, *wire.Refusal) {
	customers, err := g.config.Store.Customers(ctx)
	if err != nil {
		return reply{}, g.storeFault("API keys", err)
	}
	keys := make([]adminKey, 0, len(customers))
	for _, one := range customers {
		k := adminKey{
			ID: one.ID, Name: one.Name, Enabled: one.Enabled, CamerasMax: one.CamerasMax, Analyses: one.Analyses,
			RecordBytes: one.RecordBytes, RecordAgeS: int64(one.RecordAge / time.Second), Made: one.Made,
		}
		if k.Analyses == nil {
			k.Analyses = []string{}
		}
		if !one.ValidUntil.IsZero() {
			k.ValidUntil = &one.ValidUntil
		}
		keys = append(keys, k)
	}
	return reply{adminAnswer: &adminAnswer{Keys: keys}}, nil
}

// newKeyMin is the shortest key that an administrator may choose, in bytes.
const newKeyMin = 8

func (g *Gateway) addKey(ctx context.Context, c *call) (reply, *wire.Refusal) {
	customer := store.Customer{Enabled: true, Made: g.config.Now()}
	key, why := readKeyFields(c, &customer)
	if why != nil {
		return reply{}, why
	}
	if key == "" {
		key = rand.Text()
	}
	customer.KeyHash = store.HashKey(key)
	id, err := g.config.Store.AddCustomer(ctx, customer)
	if err != nil {
		return reply{}, g.keyFault(err)
	}
	return reply{Answer: wire.Answer{OK: "key added"}, adminAnswer: &adminAnswer{ID: id, Key: key}}, nil
}

// readKeyFields reads what is said of a key into customer. Here what cannot be read is refused: who writes
// "enabled": "no" must not get the opposite.
func readKeyFields(c *call, customer *store.Customer) (key string, why *wire.Refusal) {
	var validUntil string
	var recordAgeS *int64
	for _, one := range []struct {
		field string
		to    any
	}{
		{"name", &customer.Name}, {"enabled", &customer.Enabled}, {"cameras_max", &customer.CamerasMax},
		{"analyses", &customer.Analyses}, {"record_bytes", &customer.RecordBytes}, {"record_age_s", &recordAgeS},
		{"valid_until", &validUntil}, {"new_key", &key},
	} {
		if text, said := c.fields[one.field]; said && json.Unmarshal(text, one.to) != nil {
			return "", missing(one.field + " cannot be read")
		}
	}
	if recordAgeS != nil {
		if *recordAgeS < -1 || *recordAgeS > store.RecordAgeS { // which a time.Duration may not hold
			return "", missing(fmt.Sprintf("record_age_s must be from -1 to %d", int64(store.RecordAgeS)))
		}
		customer.RecordAge = time.Duration(*recordAgeS) * time.Second
	}
	if _, said := c.fields["valid_until"]; said {
		customer.ValidUntil = time.Time{}
		if validUntil != "" {
			at, err := time.Parse(time.RFC3339, validUntil)
			if err != nil || store.CheckUntil(at) != nil {
				return "", missing("valid_until must be after 1970, as 2030-12-31T23:59:59Z, or empty")
			}
			customer.ValidUntil = at.UTC()
		}
	}
	if key != "" && len(key) < newKeyMin {
		return "", missing(fmt.Sprintf("new_key must have at least %d characters", newKeyMin))
	}
	return key, nil
}

// keyFault is the refusal for an error about a key.
func (g *Gateway) keyFault(err error) *wire.Refusal {
	var why *wire.Refusal
	switch {
	case errors.As(err, &why):
		return why
	case errors.Is(err, store.ErrUnknown):
		return missing("id of a key that exists")
	case errors.Is(err, store.ErrExists):
		return missing("another name or key: one of them exists already")
	case errors.Is(err, store.ErrCustomer):
		return missing(err.Error())
	}
	return g.storeFault("API keys", err)
}

// changeCustomer changes the customer that a request names by "id", by what is kept of it at that moment:
// another administrator may disable it meanwhile.
func (g *Gateway) changeCustomer(ctx context.Context, c *call, change func(*store.Customer) error) (
	store.Customer, *wire.Refusal) {
	var id int64
	if json.Unmarshal(c.fields["id"], &id) != nil || id == 0 {
		return store.Customer{}, missing("id of a key")
	}
	customer, err := g.config.Store.ChangeCustomer(ctx, id, change)
	if err != nil {
		return customer, g.keyFault(err)
	}
	return customer, nil
}

func (g *Gateway) changeKey(ctx context.Context, c *call) (reply, *wire.Refusal) {
	_, why := g.changeCustomer(ctx, c, func(customer *store.Customer) error {
		key, why := readKeyFields(c, customer)
		if why != nil {
			return why
		}
		if key != "" {
			customer.KeyHash = store.HashKey(key)
		}
		return nil
	})
	if why != nil {
		return reply{}, why
	}
	return g.afterKeys(ctx, "key changed")
}

func (g *Gateway) removeKey(ctx context.Context, c *call) (reply, *wire.Refusal) {
	customer, why := g.changeCustomer(ctx, c, func(customer *store.Customer) error {
		customer.Enabled = false // from now on no stream of it begins
		return nil
	})
	if why != nil {
		return reply{}, why
	}
	if answer, why := g.afterKeys(ctx, ""); why != nil {
		return answer, why
	}
	if err := g.config.Store.RemoveCustomer(ctx, customer.ID); err != nil && !errors.Is(err, store.ErrUnknown) {
		return reply{}, g.storeFault("API keys", err)
	}
	return reply{Answer: wire.Answer{OK: "key removed"}}, nil
}

// afterKeys ends what may not go on now.
func (g *Gateway) afterKeys(ctx context.Context, ok wire.Text) (reply, *wire.Refusal) {
	if err := g.endRevoked(ctx); err != nil {
		return reply{}, g.storeFault("end what is over", err)
	}
	return reply{Answer: wire.Answer{OK: ok}}, nil
}

func (g *Gateway) listStreams(ctx context.Context, _ *call) (reply, *wire.Refusal) {
	rows, err := g.config.Store.ActiveStreams(ctx, store.StreamFilter{})
	if err != nil {
		return reply{}, g.storeFault("streams", err)
	}
	list := make([]adminStream, 0, len(rows))
	for _, row := range rows {
		one := adminStream{
			ID: row.ID, Utilization: row.Source, KeyID: row.Customer, Server: row.Server, Since: row.Since,
			LastSeen: row.LastSeen, State: row.Stats.State,
		}
		if row.Asker.IsValid() {
			one.Asker = row.Asker.String()
		}
		if one.State == "" {
			one.State = stream.StateWaiting
		}
		list = append(list, one)
	}
	return reply{adminAnswer: &adminAnswer{Streams: list}}, nil
}

// stopAnyStream stops the stream of a source. The source may ask again: to keep it away, disable it or
// its key.
func (g *Gateway) stopAnyStream(ctx context.Context, c *call) (reply, *wire.Refusal) {
	if c.utilization.IsZero() {
		return reply{}, missing("utilization_id of the stream's source")
	}
	row, why := g.runningStream(ctx, c.utilization)
	if why != nil {
		return reply{}, why
	}
	g.endStream(ctx, row, "stopped by an administrator")
	return reply{Answer: wire.Answer{OK: "stream stopped successfully"}}, nil
}
