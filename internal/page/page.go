// SPDX-License-Identifier: AGPL-3.0-or-later

// Package page says in which order a list comes, and where a page of it begins: behind the last item of the page
// before, wherever that stands by now.
package page

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"github.com/adit-go/adit/internal/refusal"
)

// Order is an order and a place in it.
type Order struct {
	By    string // what the list is sorted by; empty: as its items were made
	Down  bool   // the highest one comes first
	Value string // of what it is sorted by, of the last item of the page before
	After int64  // key of that item, which tells items of one value apart; 0: the list begins
}

// place is what a cursor holds.
type place struct {
	Sort  string `json:"s"`
	Value string `json:"v,omitempty"`
	Key   int64  `json:"k"`
}

// Parse reads what a list is sorted by, as in "-created_at", and a cursor that Next gave.
func Parse(sort, cursor string) (Order, error) {
	by, down := strings.CutPrefix(sort, "-")
	o := Order{By: by, Down: down}
	if cursor == "" {
		return o, nil
	}
	var at place
	decoded, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || json.Unmarshal(decoded, &at) != nil || at.Key < 1 || strings.ContainsRune(at.Value, 0) {
		return Order{}, Unknown()
	}
	if at.Sort != sort {
		return Order{}, &refusal.Invalid{
			Field: "cursor", Reason: "this is a next_cursor of a list in another order; start without a cursor",
		}
	}
	o.Value, o.After = at.Value, at.Key
	return o, nil
}

// Unknown refuses a cursor that no list gave.
func Unknown() error {
	return &refusal.Invalid{Field: "cursor", Reason: "this is not a next_cursor of a list; start without a cursor"}
}

// Next returns the cursor of what comes after an item.
func (o Order) Next(value string, key int64) string {
	at := place{Sort: o.By, Value: value, Key: key}
	if o.Down {
		at.Sort = "-" + at.Sort
	}
	encoded, err := json.Marshal(at)
	if err != nil {
		panic(err) // it holds texts and a number
	}
	return base64.RawURLEncoding.EncodeToString(encoded)
}

// never is a time that has not come: it is after all others.
const never = "infinity"

// Time returns a time as the value of an item; nil: it has not come.
func Time(t *time.Time) string {
	if t == nil {
		return never
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// IsTime reports whether a value is one that Time returns.
func IsTime(value string) bool {
	t, err := time.Parse(time.RFC3339Nano, value)
	return value == never || err == nil && t.Year() > 0 && Time(&t) == value
}
