// Customers: an API key and what it allows.

package api

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/krazycam/krazycam/farend/store"
)

// A Customer is one as answers have it.
type Customer struct {
	ID          int64      `json:"id"`
	Name        string     `json:"name"`
	Enabled     bool       `json:"enabled"`
	ValidUntil  *time.Time `json:"valid_until"`
	CamerasMax  int        `json:"cameras_max"`
	Analyses    []string   `json:"analyses"`
	RecordBytes int64      `json:"record_bytes"`
	RecordAgeS  int64      `json:"record_age_s"`
	Made        time.Time  `json:"made"`
	Key         string     `json:"key,omitempty"` // once, when it was made
}

// CustomerOf is c as answers have it.
func CustomerOf(c store.Customer) Customer {
	if c.Analyses == nil {
		c.Analyses = []string{}
	}
	return Customer{
		ID: c.ID, Name: c.Name, Enabled: c.Enabled, ValidUntil: timeOrNone(c.ValidUntil), CamerasMax: c.CamerasMax,
		Analyses: c.Analyses, RecordBytes: c.RecordBytes, RecordAgeS: int64(c.RecordAge / time.Second), Made: c.Made,
	}
}

// NewKey makes an API key: 130 random bits, as letters and digits that can be typed.
func NewKey() string { return rand.Text() }

func customerTag(c store.Customer) string { return etagOf([]any{CustomerOf(c), c.KeyHash}) }

// customerFields takes what may be said of a customer.
func customerFields(c *store.Customer) fields {
	return fields{
		"name":         text(&c.Name, 1, store.NameMax),
		"enabled":      flag(&c.Enabled),
		"valid_until":  moment(&c.ValidUntil),
		"cameras_max":  whole(&c.CamerasMax, 0, store.CamerasMax),
		"analyses":     analyses(&c.Analyses),
		"record_bytes": whole(&c.RecordBytes, -1, store.RecordMax),
		"record_age_s": seconds(&c.RecordAge, -1, store.RecordAgeS),
	}
}

func (a *API) me(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	me := struct {
		Administrator bool      `json:"administrator"`
		Customer      *Customer `json:"customer,omitempty"`
	}{Administrator: caller.Administrator}
	if !caller.Administrator {
		c, err := a.config.Store.CustomerByID(r.Context(), caller.Customer)
		if err != nil {
			return answer{}, err
		}
		view := CustomerOf(c)
		me.Customer = &view
	}
	return answer{body: me}, nil
}

func (a *API) listCustomers(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	q := queryOf(r, "limit", "after")
	limit, cursor := q.limit(), q.cursor()
	after, err := strconv.ParseInt(cursor, 10, 64)
	if cursor != "" && err != nil {
		q.wrong("after", `the "next" of the answer before`)
	}
	if q.err != nil {
		return answer{}, q.err
	}
	all, err := a.config.Store.Customers(r.Context())
	if err != nil {
		return answer{}, err
	}
	var part []Customer
	for _, c := range all {
		if len(part) <= limit && c.ID > after && caller.sees(c.ID) {
			part = append(part, CustomerOf(c))
		}
	}
	return answer{body: pageOf(part, limit, func(c Customer) string { return strconv.FormatInt(c.ID, 10) })}, nil
}

func (a *API) addCustomer(w http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	if !caller.Administrator {
		return answer{}, needsAdministrator()
	}
	key := NewKey()
	c := store.Customer{Enabled: true, CamerasMax: 1, Made: a.config.Now().UTC(), KeyHash: store.HashKey(key)}
	if err := readBody(w, r, customerFields(&c)); err != nil {
		return answer{}, err
	}
	if c.Name == "" {
		return answer{}, badField("name", "is missing: a customer needs one")
	}
	var err error
	if c.ID, err = a.config.Store.AddCustomer(r.Context(), c); err != nil {
		return answer{}, taken(err)
	}
	if c, err = a.config.Store.CustomerByID(r.Context(), c.ID); err != nil { // as it is kept
		return answer{}, err
	}
	a.note(r.Context(), store.Event{Customer: c.ID, Kind: "customer added", Words: c.Name})
	view := CustomerOf(c)
	view.Key = key
	return answer{status: http.StatusCreated, body: view, etag: customerTag(c),
		location: Prefix + "/customers/" + strconv.FormatInt(c.ID, 10)}, nil
}

// taken explains that a name is in use.
func taken(err error) error {
	if errors.Is(err, store.ErrExists) {
		p := problem(http.StatusConflict, "exists", "name: another customer has this name: choose another one")
		p.Field = "name"
		return p
	}
	return err
}

// customer finds the one that a path names, if the caller sees it.
func (a *API) customer(r *http.Request, caller Caller) (store.Customer, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || !caller.sees(id) {
		return store.Customer{}, notFound("customer")
	}
	c, err := a.config.Store.CustomerByID(r.Context(), id)
	if errors.Is(err, store.ErrUnknown) {
		err = notFound("customer")
	}
	return c, err
}

func (a *API) getCustomer(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	c, err := a.customer(r, caller)
	if err != nil {
		return answer{}, err
	}
	return answer{body: CustomerOf(c), etag: customerTag(c)}, nil
}

// administered finds a customer that the administrator is about to change.
func (a *API) administered(r *http.Request, caller Caller) (store.Customer, error) {
	c, err := a.customer(r, caller)
	if err == nil && !caller.Administrator {
		err = needsAdministrator()
	}
	return c, err
}

func (a *API) changeCustomer(w http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	c, err := a.administered(r, caller)
	if err != nil {
		return answer{}, err
	}
	var said store.Customer // to judge the body before anything is locked
	body, err := keepBody(w, r, customerFields(&said))
	if err != nil {
		return answer{}, err
	}
	c, err = a.config.Store.ChangeCustomer(r.Context(), c.ID, func(c *store.Customer) error {
		if err := checkMatch(r, customerTag(*c)); err != nil {
			return err
		}
		return body.apply(customerFields(c))
	})
	if err != nil {
		return answer{}, taken(err)
	}
	a.note(r.Context(), store.Event{Customer: c.ID, Kind: "customer changed", Words: body.names()})
	return answer{body: CustomerOf(c), etag: customerTag(c)}, nil
}

func (a *API) removeCustomer(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	c, err := a.administered(r, caller)
	if err == nil {
		err = checkMatch(r, customerTag(c))
	}
	if err != nil {
		return answer{}, err
	}
	err = a.config.Store.RemoveCustomer(r.Context(), c.ID)
	if errors.Is(err, store.ErrActive) {
		return answer{}, problem(http.StatusConflict, "active",
			"streams of this customer run: switch it off (enabled: false), stop its streams, then remove it")
	}
	if err == nil {
		a.note(r.Context(), store.Event{Kind: "customer removed", Words: c.Name})
	}
	return answer{}, err
}

// renewKey makes a new API key. The old one ends at once: whoever uses it must get the new one.
func (a *API) renewKey(_ http.ResponseWriter, r *http.Request, caller Caller) (answer, error) {
	c, err := a.administered(r, caller)
	if err != nil {
		return answer{}, err
	}
	key := NewKey()
	c, err = a.config.Store.ChangeCustomer(r.Context(), c.ID, func(c *store.Customer) error {
		if err := checkMatch(r, customerTag(*c)); err != nil {
			return err
		}
		c.KeyHash = store.HashKey(key)
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	a.note(r.Context(), store.Event{Customer: c.ID, Kind: "key renewed", Words: c.Name})
	view := CustomerOf(c)
	view.Key = key
	return answer{body: view, etag: customerTag(c)}, nil
}

// CheckCustomer says what of a customer cannot be, for whoever takes it in another way than by HTTP.
func CheckCustomer(c store.Customer) error {
	said := CustomerOf(c)
	var checked store.Customer
	return checkFields(map[string]any{
		"name": said.Name, "cameras_max": said.CamerasMax, "analyses": said.Analyses,
		"record_bytes": said.RecordBytes, "record_age_s": said.RecordAgeS,
	}, customerFields(&checked))
}
